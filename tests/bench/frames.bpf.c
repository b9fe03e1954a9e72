/* SPDX-License-Identifier: GPL-2.0-only
 *
 * The programs around the measured one. Baselines: the least that forwards a frame. Recycler: the far end of the
 * egress veth; it gives the frame back its first hop's headers, because live frames reuse their pages as they were
 * left, and so the next use of the page is again a fresh frame. Prologue: the same for plain test runs.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define AF_INET 2
#define AF_INET6 10
#define FIRST_PORT 1024
#define TTL 64

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 64);
	__type(key, __u32); /* ifindex */
	__type(value, __u32);
} devices SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} measured SEC(".maps");

const volatile __u16 source_mac[3], fast_mac[3];
const volatile __u32 egress_ifindex = 0;

__u32 flow_mask = 0;  /* flows - 1, a power of two less one. Writer: the bench, between runs */
__u64 recycled = 0;   /* frames that reached the far end. Writer: the measuring CPU */
__u32 turn = 0;

SEC("xdp")
int bare_redirect(struct xdp_md *ctx)
{
	return bpf_redirect_map(&devices, egress_ifindex, 0);
}

static __always_inline void lower_ttl(struct iphdr *ip)
{
	__u32 check = ip->check;

	check += bpf_htons(0x0100); /* RFC 1141: TTL is the high byte of its word */
	ip->check = (__u16)(check + (check >= 0xffff));
	ip->ttl--;
}

/* What the kernel's own samples/bpf/xdp_fwd does. */
SEC("xdp")
int bare_fib(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct bpf_fib_lookup fib = {};
	struct iphdr *ip4 = 0;
	struct ipv6hdr *ip6 = 0;

	if ((void *)(eth + 1) > end)
		return XDP_PASS;
	if (eth->h_proto == bpf_htons(ETH_P_IP)) {
		ip4 = (void *)(eth + 1);
		if ((void *)(ip4 + 1) > end || ip4->ttl <= 1)
			return XDP_PASS;
		fib.family = AF_INET;
		fib.tos = ip4->tos;
		fib.l4_protocol = ip4->protocol;
		fib.tot_len = bpf_ntohs(ip4->tot_len);
		fib.ipv4_src = ip4->saddr;
		fib.ipv4_dst = ip4->daddr;
	} else if (eth->h_proto == bpf_htons(ETH_P_IPV6)) {
		ip6 = (void *)(eth + 1);
		if ((void *)(ip6 + 1) > end || ip6->hop_limit <= 1)
			return XDP_PASS;
		fib.family = AF_INET6;
		fib.flowinfo = *(__be32 *)ip6 & bpf_htonl(0x0fffffff);
		fib.l4_protocol = ip6->nexthdr;
		fib.tot_len = bpf_ntohs(ip6->payload_len) + sizeof(*ip6);
		__builtin_memcpy(fib.ipv6_src, &ip6->saddr, 16);
		__builtin_memcpy(fib.ipv6_dst, &ip6->daddr, 16);
	} else {
		return XDP_PASS;
	}
	fib.ifindex = ctx->ingress_ifindex;
	if (bpf_fib_lookup(ctx, &fib, sizeof(fib), 0) != BPF_FIB_LKUP_RET_SUCCESS)
		return XDP_PASS;
	if (ip4)
		lower_ttl(ip4);
	else if (ip6)
		ip6->hop_limit--;
	__builtin_memcpy(eth->h_dest, fib.dmac, 6);
	__builtin_memcpy(eth->h_source, fib.smac, 6);
	return bpf_redirect_map(&devices, fib.ifindex, 0);
}

static __always_inline void restore_ttl(struct iphdr *ip)
{
	__u16 now = *(__u16 *)&ip->ttl, was = (now & bpf_htons(0x00ff)) | bpf_htons(TTL << 8);
	__u32 sum = (__u16)~ip->check + (__u16)~now + was; /* RFC 1624 */

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	ip->check = (__u16)~sum;
	ip->ttl = TTL;
}

static __always_inline void set_mac(__u8 *to, const volatile __u16 *mac)
{
	__u16 *word = (__u16 *)to;

	word[0] = mac[0];
	word[1] = mac[1];
	word[2] = mac[2];
}

/* A fresh frame of the next flow: MAC addresses, TTL, source port. */
static __always_inline void restore(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct udphdr *udp;

	if ((void *)(eth + 1) + sizeof(struct ipv6hdr) + sizeof(*udp) > end)
		return;
	set_mac(eth->h_dest, fast_mac);
	set_mac(eth->h_source, source_mac);
	if (eth->h_proto == bpf_htons(ETH_P_IP)) {
		restore_ttl((void *)(eth + 1));
		udp = (void *)(eth + 1) + sizeof(struct iphdr);
	} else {
		struct ipv6hdr *ip = (void *)(eth + 1);

		ip->hop_limit = TTL;
		udp = (void *)(ip + 1);
	}
	udp->source = bpf_htons(FIRST_PORT + (turn++ & flow_mask));
}

SEC("xdp")
int recycle(struct xdp_md *ctx)
{
	restore(ctx);
	recycled++;
	return XDP_DROP;
}

SEC("xdp")
int prologue(struct xdp_md *ctx)
{
	restore(ctx);
	bpf_tail_call(ctx, &measured, 0);
	return XDP_ABORTED;
}

SEC("xdp")
int nothing(struct xdp_md *ctx)
{
	return XDP_DROP;
}

SEC("xdp")
int pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
