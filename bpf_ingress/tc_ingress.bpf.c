// SPDX-License-Identifier: GPL-2.0-only
//
// The program of a fast port where XDP cannot be attached: the same steps at tc ingress, on skbs. What it forwards
// leaves by the kernel's queue of the slow device. It knows no ways of `when_full` but to mark and to drop.

#define SLUICE_TC
#include "ingress.h"

SEC("tc")
int sluice_tc_ingress(struct __sk_buff *ctx)
{
	return ingress(ctx);
}

char LICENSE[] SEC("license") = "GPL";
