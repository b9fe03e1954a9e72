// SPDX-License-Identifier: GPL-2.0-only
//
// What stands in libxdp's dispatcher for a fast port: jumps to the port's program. That one is exchanged in the map, so
// that neither a reload nor a new daemon touches the dispatcher and the other programs in it. Until a program is there,
// and when its map was emptied, the next one of the dispatcher gets the frame.

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} sl_slot SEC(".maps");

SEC("xdp")
int sluice_slot(struct xdp_md *ctx)
{
	bpf_tail_call(ctx, &sl_slot, 0);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
