/* SPDX-License-Identifier: GPL-2.0-only
 *
 * Step 3: which class, and which flow in it? Rules are bitmaps (abi.h): the fields of a frame select, their
 * intersection decides, at a cost that does not grow with rules, prefixes or tenants. The flow key is what the policy
 * isolates by.
 */
#ifndef SLUICE_CLASSIFY_H
#define SLUICE_CLASSIFY_H

#include "route.h"

/* What rules look at. A copy, so that the matching can be a function of its own: the verifier then checks it once,
 * not once for each way through the parser, and a policy without rules never calls it. */
struct flow_key {
	__u32 src[4], dst[4]; /* network order; IPv4 in the first word */
	__u16 sport, dport;   /* host order */
	__u16 vlan, length;   /* VLAN id; bytes of the frame without VLAN tags and PPPoE, 65535 = that or more */
	__u8 family, proto, dscp, has_ports;
	__u8 pcp;             /* 8 = untagged */
	__u8 reserved[3];
};

/* Position of the lowest bit that is set (de Bruijn): older BPF has no instruction for it. */
static __always_inline __u32 lowest_bit(__u64 word)
{
	static const __u8 position[64] = {
		0,  1,  2,  53, 3,  7,  54, 27, 4,  38, 41, 8,  34, 55, 48, 28, 62, 5,  39, 46, 44, 42,
		22, 9,  24, 35, 59, 56, 49, 18, 29, 11, 63, 52, 6,  26, 37, 40, 33, 47, 61, 45, 43, 21,
		23, 58, 17, 10, 51, 25, 36, 32, 60, 20, 57, 16, 50, 31, 19, 15, 30, 14, 13, 12,
	};

	return position[(word & -word) * 0x022fdd63cc95386dull >> 58];
}

/* Rules that allow `value`: the last entry whose `first` is not above it. Not inline: the verifier walks the ways
 * through the search once, not once for each way to each field. */
__noinline __u64 in_ranges(const struct sluice_ranges *r, __u16 value)
{
	__u32 at = 0, step, next;

	if (!r)
		return 0;
#pragma unroll
	for (step = 128; step; step /= 2) {
		next = at + step;
		if (next < SLUICE_RANGES && next < r->count && r->first[next] <= value)
			at = next;
	}
	return at < SLUICE_RANGES ? r->rules[at] : 0;
}

/* Longest prefix of one address. A miss allows the rules that do not ask, and is nobody's tenant. */
static __always_inline void by_prefix(__u32 row, __u32 table, const struct flow_key *k, const __u32 *address,
				      __u64 any, __u64 *rules, __u32 *tenant)
{
	struct sluice_prefix_key key = {};
	struct sluice_prefix *found;

	key.table = row * 8 + table * 2 + (k->family == 6);
	key.bits = 32 + (k->family == 6 ? 128 : 32);
	__builtin_memcpy(key.address, address, 16);
	found = bpf_map_lookup_elem(&sl_prefixes, &key);
	*rules &= found ? found->rules : any;
	if (found && found->tenant)
		*tenant = found->tenant;
}

static __always_inline void by_vlan(__u32 row, __u16 vlan, __u32 *tenant)
{
	struct sluice_prefix_key key = {.bits = 64, .table = row * 8 + SLUICE_BY_VLAN * 2, .address = {vlan}};
	struct sluice_prefix *found = bpf_map_lookup_elem(&sl_prefixes, &key);

	if (found)
		*tenant = found->tenant;
}

/* Class of the first rule of transition row `row` that holds, else its default; of the tenant, if there are any. Not
 * inline: see struct flow_key. */
__noinline __u32 match_rules(__u32 row, const struct flow_key *k)
{
	struct sluice_transition *t = bpf_map_lookup_elem(&sl_transitions, &row);
	__u32 tenant = 0, class_index;
	__u64 rules;

	if (!t || !k)
		return 0;
	class_index = t->default_class;
	rules = t->ingress[config.port & (SLUICE_MAX_PORTS - 1)] & t->pcp[k->pcp <= 8 ? k->pcp : 8];
	rules &= k->family ? t->dscp[k->dscp & 63] & t->proto[k->proto] : t->not_ip;
	if (t->by_vlan)
		rules &= k->pcp == 8 ? t->untagged : in_ranges(&t->vlan, k->vlan);
	if (t->by_length)
		rules &= in_ranges(&t->length, k->length);
	if (t->by_ports)
		rules &= k->has_ports ? in_ranges(&t->sport, k->sport) & in_ranges(&t->dport, k->dport) : t->no_ports;
	if (k->family && t->lookups & 1 << SLUICE_BY_SRC)
		by_prefix(row, SLUICE_BY_SRC, k, k->src, t->any_src, &rules, &tenant);
	if (k->family && t->lookups & 1 << SLUICE_BY_DST)
		by_prefix(row, SLUICE_BY_DST, k, k->dst, t->any_dst, &rules, &tenant);
	if (k->pcp < 8 && t->lookups & 1 << SLUICE_BY_VLAN)
		by_vlan(row, k->vlan, &tenant);
	if (rules)
		class_index = t->class_of[lowest_bit(rules) & (SLUICE_MAX_RULES - 1)];
	return t->first_class + tenant * t->tenant_classes + class_index;
}

static __always_inline __u32 classify(const struct sluice_transition *t, __u32 row, const struct packet *p)
{
	struct flow_key k = {};
	__u32 length = p->length - 4 * p->tagged - p->pppoe;

	if (!config.rules || (!t->rule_count && !t->tenant_classes))
		return t->first_class + t->default_class;
	k.family = p->family;
	k.proto = p->proto;
	k.dscp = p->tos >> 2;
	k.has_ports = p->has_ports;
	k.sport = p->sport;
	k.dport = p->dport;
	k.length = length < 0xffff ? length : 0xffff;
	k.vlan = p->tci & 0xfff;
	k.pcp = p->tagged ? p->tci >> 13 : 8;
	if (p->ip4) {
		k.src[0] = p->ip4->saddr;
		k.dst[0] = p->ip4->daddr;
	} else if (p->ip6) {
		__builtin_memcpy(k.src, &p->ip6->saddr, 16);
		__builtin_memcpy(k.dst, &p->ip6->daddr, 16);
	}
	return match_rules(row, &k);
}

static __always_inline __u64 mix_ipv6(__u64 h, const struct in6_addr *a)
{
	const __u32 *w = a->in6_u.u6_addr32;

	h = sluice_hash_mix(h, ((__u64)w[0] << 32) | w[1]);
	return sluice_hash_mix(h, ((__u64)w[2] << 32) | w[3]);
}

static __always_inline __u64 mix_host(__u64 h, const struct packet *p, __u32 source)
{
	if (p->ip4)
		return sluice_hash_mix(h, source ? p->ip4->saddr : p->ip4->daddr);
	return p->ip6 ? mix_ipv6(h, source ? &p->ip6->saddr : &p->ip6->daddr) : h;
}

static __always_inline __u64 mix_addresses(__u64 h, const struct packet *p, __u32 by_src, __u32 by_dst)
{
	if (p->ip4)
		return sluice_hash_mix(h, (__u64)(by_src ? p->ip4->saddr : 0) << 32 | (by_dst ? p->ip4->daddr : 0));
	if (p->ip6) {
		if (by_src)
			h = mix_ipv6(h, &p->ip6->saddr);
		return by_dst ? mix_ipv6(h, &p->ip6->daddr) : h;
	}
	h = sluice_hash_mix(h, *(__u64 *)p->eth);
	return sluice_hash_mix(h, *(__u32 *)((void *)p->eth + 8));
}

/* The flow's hash and its host's: of what the transition isolates by, the class included, so that classes never share
 * a bucket knowingly. */
static __always_inline void set_flow(const struct sluice_transition *t, const struct packet *p,
				     struct sluice_request *q)
{
	__u64 h = ((__u64)config.seed[0] << 32 | config.seed[1]) + q->class_id;
	__u32 by = t->isolate;
	__u32 by_src = by != SLUICE_ISOLATE_DST && by != SLUICE_ISOLATE_NONE;
	__u32 by_dst = by != SLUICE_ISOLATE_SRC && by != SLUICE_ISOLATE_NONE;
	__u32 by_flow = by_src && by_dst && by != SLUICE_ISOLATE_HOSTS;

	if (by >= SLUICE_ISOLATE_DUAL_SRC && by <= SLUICE_ISOLATE_TRIPLE && p->family) {
		__u32 src = sluice_hash_final(mix_host(h, p, 1)), dst = sluice_hash_final(mix_host(h, p, 0));

		q->host = by == SLUICE_ISOLATE_DUAL_SRC ? src : by == SLUICE_ISOLATE_DUAL_DST ? dst : 0;
		if (by == SLUICE_ISOLATE_TRIPLE)
			q->host = src >> 16 << 16 | dst >> 16;
	}
	if (by_src || by_dst)
		h = mix_addresses(h, p, by_src, by_dst);
	if (by_flow)
		h = sluice_hash_mix(h, (__u64)p->proto << 32 | (__u32)p->sport << 16 | p->dport);
	q->hash = sluice_hash_final(h);
}

/* Whose bucket it is, for people. Not on the common path: once per flow. */
static __always_inline void note_flow(const struct packet *p, const struct sluice_request *q, __u32 bucket)
{
	struct sluice_flow_info *info = bpf_map_lookup_elem(&sl_flow_info, &bucket);

	if (!info)
		return;
	__builtin_memset(info, 0, sizeof(*info));
	if (p->ip4) {
		__builtin_memcpy(info->src, &p->ip4->saddr, 4);
		__builtin_memcpy(info->dst, &p->ip4->daddr, 4);
	} else if (p->ip6) {
		__builtin_memcpy(info->src, &p->ip6->saddr, 16);
		__builtin_memcpy(info->dst, &p->ip6->daddr, 16);
	}
	info->sport = p->sport;
	info->dport = p->dport;
	info->family = p->family;
	info->proto = p->proto;
	info->dscp = p->tos >> 2;
	info->port = q->port;
	info->tag = q->hash;
}

#endif
