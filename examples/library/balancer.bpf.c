// SPDX-License-Identifier: GPL-2.0-only
//
// A layer 4 load balancer with direct server return, in one page: a frame to the virtual address goes to the backend that
// the flow's hash picks, its destination MAC changed. All backends are behind one slow port, so before each redirect
// it asks sluice: is there room for this flow now?

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>

#include <sluice/library.bpf.h>

#define MAX_BACKENDS 64

struct backend {
	__u8 mac[6];
	__u16 reserved;
};

const volatile __be32 virtual_address = 0;
const volatile __u32 backends = 0;   /* how many rows of lb_backends count */
const volatile __u32 transition = 0; /* of the policy: the one with forward: library */
const volatile __u32 seed = 0;
const volatile __u8 own_mac[6] = {}; /* of the egress device */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_BACKENDS);
	__type(key, __u32);
	__type(value, struct backend);
} lb_backends SEC(".maps");

enum { LB_FORWARDED, LB_MARKED, LB_REFUSED, LB_PASSED, LB_COUNTS };

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LB_COUNTS);
	__type(key, __u32);
	__type(value, __u64);
} lb_counts SEC(".maps");

static __always_inline void count(__u32 what)
{
	__u64 *n = bpf_map_lookup_elem(&lb_counts, &what);

	if (n)
		(*n)++;
}

/* Same flow, same backend, same queue. */
static __always_inline __u32 flow_hash(const struct iphdr *ip, void *end)
{
	const __be32 *ports = (void *)(ip + 1);
	__u64 h = sluice_hash_mix(seed, ip->saddr);

	if ((ip->protocol == IPPROTO_TCP || ip->protocol == IPPROTO_UDP) && ip->ihl == 5 && (void *)(ports + 1) <= end)
		h = sluice_hash_mix(h, *ports);
	return sluice_hash_final(sluice_hash_mix(h, ip->protocol));
}

static __always_inline int pass(void)
{
	count(LB_PASSED);
	return XDP_PASS;
}

SEC("xdp")
int balancer(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	struct sluice_question ask = {};
	struct sluice_verdict verdict;
	struct backend *to;
	__u32 hash, pick, outcome;
	int i;

	if ((void *)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP) || ip->daddr != virtual_address || !backends)
		return pass();
	hash = flow_hash(ip, end);
	pick = hash % backends;
	to = bpf_map_lookup_elem(&lb_backends, &pick);
	if (!to)
		return pass();

	ask.transition = transition;
	ask.hash = hash;
	ask.length = end - data;
	ask.tos = ip->tos;
	ask.class_index = SLUICE_DEFAULT_CLASS;
	outcome = sluice_ask(&ask, &verdict);
	if (outcome == SLUICE_ASK_UNKNOWN)
		return pass();
	if (outcome > SLUICE_MARK) {
		count(LB_REFUSED);
		return XDP_DROP;
	}
	if (outcome == SLUICE_MARK)
		sluice_set_ce_ipv4(ip);
	count(outcome == SLUICE_MARK ? LB_MARKED : LB_FORWARDED);
	__builtin_memcpy(eth->h_dest, to->mac, 6);
	for (i = 0; i < 6; i++)
		eth->h_source[i] = own_mac[i];
	return sluice_redirect(&verdict);
}

char LICENSE[] SEC("license") = "GPL";
