// SPDX-License-Identifier: GPL-2.0-only
//
// The XDP program of a fast port, and those behind its tail calls.

#include "ingress.h"
#include "reroute.h"
#include "ways_out.h"

SEC("xdp")
int sluice_ingress(struct xdp_md *ctx)
{
	return ingress(ctx);
}

/* Behind the tail calls of leave(); loaded where some class has such ways. */
SEC("xdp")
int sluice_ways_out(struct xdp_md *ctx)
{
	return ways_out(ctx);
}

SEC("xdp")
int sluice_detour(struct xdp_md *ctx)
{
	return find_detour(ctx);
}

char LICENSE[] SEC("license") = "GPL";
