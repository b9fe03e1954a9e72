// SPDX-License-Identifier: GPL-2.0-only
//
// Does a device take frames that are redirected to it? Kernels before 6.3 do not say, and a device that does not loses
// them without a word. sluice_probe redirects one frame of BPF_PROG_TEST_RUN there, sluice_probe_seen looks what became
// of it.

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "kernel_types.h"

const volatile __u32 target; /* ifindex */
const volatile __u32 netns;  /* inode of its network namespace */
__u32 taken;                 /* frames */

SEC("xdp")
int sluice_probe(struct xdp_md *ctx)
{
	return bpf_redirect(target, 0);
}

SEC("tp_btf/xdp_devmap_xmit")
int BPF_PROG(sluice_probe_seen, const struct net_device *from_dev, const struct net_device *to_dev, int sent, int drops,
	     int err)
{
	if (to_dev->ifindex == (int)target && to_dev->nd_net.net->ns.inum == netns && sent > 0)
		__sync_fetch_and_add(&taken, sent);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
