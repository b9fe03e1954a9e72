/* SPDX-License-Identifier: GPL-2.0-only
 *
 * Step 3: which class, and which flow in it? First matching rule of the transition wins; the flow key is what the
 * policy isolates by.
 */
#ifndef SLUICE_CLASSIFY_H
#define SLUICE_CLASSIFY_H

#include "route.h"

/* What rules look at. A copy, so that the walk over the rules can be a function of its own: the verifier then checks it
 * once, not once for each way through the parser, and a policy without rules never calls it. */
struct flow_key {
	__u32 src[4], dst[4]; /* network order; IPv4 in the first word */
	__u16 sport, dport;   /* host order */
	__u8 family, proto, dscp, has_ports;
};

static __always_inline __u32 address_differs(const __u32 *address, const __u32 *want, const __u32 *mask)
{
	return ((address[0] ^ want[0]) & mask[0]) | ((address[1] ^ want[1]) & mask[1]) |
	       ((address[2] ^ want[2]) & mask[2]) | ((address[3] ^ want[3]) & mask[3]);
}

static __always_inline int rule_matches(const struct sluice_rule *r, const struct flow_key *k)
{
	if (r->family && r->family != k->family)
		return 0;
	if (!(r->dscp >> (k->dscp & 63) & 1) || !(r->proto[(k->proto >> 6) & 3] >> (k->proto & 63) & 1))
		return 0;
	if (r->need_ports && (!k->has_ports || k->sport < r->sport_first || k->sport > r->sport_last ||
			      k->dport < r->dport_first || k->dport > r->dport_last))
		return 0;
	return !r->family || !(address_differs(k->src, r->src, r->src_mask) | address_differs(k->dst, r->dst, r->dst_mask));
}

/* Class of the first matching rule of transition row `row`, else its default. Not inline: see struct flow_key. */
__noinline __u32 match_rules(__u32 row, const struct flow_key *k)
{
	struct sluice_transition *t = bpf_map_lookup_elem(&sl_transitions, &row);
	__u32 i;

	if (!t || !k)
		return 0;
	for (i = 0; i < SLUICE_MAX_RULES; i++) {
		if (i >= t->rule_count)
			break;
		if (rule_matches(&t->rules[i], k))
			return t->rules[i].class_id;
	}
	return t->default_class;
}

static __always_inline __u32 classify(const struct sluice_transition *t, __u32 row, const struct packet *p)
{
	struct flow_key k = {};

	if (!config.rules || !t->rule_count || !p->family)
		return t->default_class;
	k.family = p->family;
	k.proto = p->proto;
	k.dscp = p->tos >> 2;
	k.has_ports = p->has_ports;
	k.sport = p->sport;
	k.dport = p->dport;
	if (p->family == 4) {
		k.src[0] = p->ip4->saddr;
		k.dst[0] = p->ip4->daddr;
	} else {
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

/* Hash of what the transition isolates by, the class included: classes never share a bucket knowingly. */
static __always_inline __u32 flow_hash(const struct sluice_transition *t, const struct packet *p, __u32 class_id)
{
	__u64 h = ((__u64)config.seed[0] << 32 | config.seed[1]) + class_id;
	__u32 by_src = t->isolate == SLUICE_ISOLATE_FLOW || t->isolate == SLUICE_ISOLATE_SRC;
	__u32 by_dst = t->isolate == SLUICE_ISOLATE_FLOW || t->isolate == SLUICE_ISOLATE_DST;

	if (p->family == 4) {
		h = sluice_hash_mix(h, (__u64)(by_src ? p->ip4->saddr : 0) << 32 | (by_dst ? p->ip4->daddr : 0));
	} else if (p->family == 6) {
		if (by_src)
			h = mix_ipv6(h, &p->ip6->saddr);
		if (by_dst)
			h = mix_ipv6(h, &p->ip6->daddr);
	} else {
		h = sluice_hash_mix(h, *(__u64 *)p->eth);
		h = sluice_hash_mix(h, *(__u32 *)((void *)p->eth + 8));
	}
	if (by_src && by_dst)
		h = sluice_hash_mix(h, (__u64)p->proto << 32 | (__u32)p->sport << 16 | p->dport);
	return sluice_hash_final(h);
}

#endif
