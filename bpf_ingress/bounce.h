/* SPDX-License-Identifier: GPL-2.0-only
 *
 * The way "bounce": the frame becomes a notification to its sender of how long its queue is (docs/bounce.md). Never more
 * bytes than came, never in answer to ICMP, fragments, or anything that is not from one host to one other, and at most
 * SLUICE_BOUNCE_RATE per second and CPU. Routed frames are answered only if the route to their source leads back to the
 * port that they came from, so that a forged source address brings nobody anything.
 */
#ifndef SLUICE_BOUNCE_H
#define SLUICE_BOUNCE_H


#include "refusal.h"
#include "trim.h"

#define BOUNCE_GAP_NS (1000000000ull / SLUICE_BOUNCE_RATE)

struct bounce4 {
	struct iphdr ip;
	struct sluice_notice notice;
	__u8 quote[SLUICE_QUOTE4];
};
struct bounce6 {
	struct ipv6hdr ip;
	struct sluice_notice notice;
	__u8 quote[SLUICE_QUOTE6];
};

/* The allowance: a time that each notification moves on by its share of a second, never more than a burst ahead. */
static __always_inline int allowance_left(const struct sluice_clock *clock)
{
	return (__s64)(clock->bounce_ns - clock->now_ns) < (__s64)(SLUICE_BOUNCE_BURST * BOUNCE_GAP_NS);
}

static __always_inline void use_allowance(struct sluice_clock *clock)
{
	if ((__s64)(clock->bounce_ns - clock->now_ns) < 0)
		clock->bounce_ns = clock->now_ns;
	clock->bounce_ns += BOUNCE_GAP_NS;
}

static __always_inline int is_between_two_hosts(const struct packet *p)
{
	if ((p->eth->h_dest[0] | p->eth->h_source[0]) & 1)
		return 0;
	if (p->ip4)
		return !ipv4_is_special(p->ip4->saddr) && !ipv4_is_special(p->ip4->daddr);
	return p->ip6 && !ipv6_is_special(&p->ip6->saddr) && !ipv6_is_special(&p->ip6->daddr);
}

/* Does the way to the source lead out where the frame came in? (strict reverse path, RFC 3704) */
static __always_inline int source_is_there(const struct packet *p)
{
	struct bpf_fib_lookup fib = {};
	__u32 arrived_at;
	long code;

	if (config.xconnect)
		return 1;
	arrived_at = arrival(p);
	fill_fib(&fib, p);
	fib.ifindex = arrived_at;
	fib.tot_len = 0;
	if (p->ip4) {
		fib.ipv4_src = p->ip4->daddr;
		fib.ipv4_dst = p->ip4->saddr;
	} else if (p->ip6) {
		__builtin_memcpy(fib.ipv6_src, &p->ip6->daddr, 16);
		__builtin_memcpy(fib.ipv6_dst, &p->ip6->saddr, 16);
	}
	code = bpf_fib_lookup(p->ctx, &fib, sizeof(fib), 0);
	return (code == BPF_FIB_LKUP_RET_SUCCESS || code == BPF_FIB_LKUP_RET_NO_NEIGH) &&
	       fib.ifindex == arrived_at;
}

static __always_inline int may_bounce(const struct packet *p, const struct sluice_clock *clock)
{
	if (!has_plain_headers(p) || p->proto == IPPROTO_ICMP || p->proto == IPPROTO_ICMPV6)
		return 0;
	if (ip_bytes(p) < (p->ip4 ? sizeof(struct bounce4) : sizeof(struct bounce6)))
		return 0;
	return allowance_left(clock) && is_between_two_hosts(p) && source_is_there(p);
}

static __always_inline __u16 fold(__u64 sum)
{
	__u32 s = (sum & 0xffffffff) + (sum >> 32);

	if (s < (__u32)(sum >> 32))
		s++;
	s = (s & 0xffff) + (s >> 16);
	s = (s & 0xffff) + (s >> 16);
	return (__u16)~s;
}

static __always_inline __u32 in_us(__u64 ns)
{
	__u64 us = ns / 1000;

	return bpf_htonl(us < 0xffffffff ? us : 0xffffffff);
}

static __always_inline void fill_notice(struct sluice_notice *n, const struct sluice_request *q,
					const struct sluice_answer *a, __u32 quoted)
{
	__u32 row = q->port * q->cpus + a->tx->ring;
	const struct sluice_class *c = a->klass;
	const struct sluice_share *s = &c->share[c->current & 1];
	const struct sluice_ring *ring = bpf_map_lookup_elem(&sl_rings, &row);

	n->version = SLUICE_NOTICE_VERSION;
	n->quoted = quoted;
	n->delay_us = in_us(sluice_delay_ns(s, sluice_lag(a->flow->finish, a->vt)));
	n->ring_us = in_us(a->ring_ns);
	n->share_kbps = bpf_htonl(s->bytes_per_ns * 8000000 >> 32);
	if (ring) {
		n->ring_used = bpf_htons(ring->hook.occupancy < 0xffff ? ring->hook.occupancy : 0xffff);
		n->ring_size = bpf_htons(ring->hook.size < 0xffff ? ring->hook.size : 0xffff);
	}
}

static __always_inline void swap_macs(struct ethhdr *eth)
{
	__u8 mac[6];

	__builtin_memcpy(mac, eth->h_dest, 6);
	__builtin_memcpy(eth->h_dest, eth->h_source, 6);
	__builtin_memcpy(eth->h_source, mac, 6);
}

/* Both overwrite the head of the packet with a notification that quotes it. 0 on success. */
static __always_inline int write_bounce4(const struct packet *p, const struct sluice_request *q,
					 const struct sluice_answer *a)
{
	struct bounce4 b = {}, *out = (void *)p->ip4;

	if ((void *)(out + 1) > (void *)(long)p->ctx->data_end)
		return -1;
	__builtin_memcpy(b.quote, p->ip4, sizeof(b.quote));
	fill_notice(&b.notice, q, a, sizeof(b.quote));
	b.notice.type = SLUICE_NOTICE_ICMP;
	b.notice.checksum = fold(bpf_csum_diff(0, 0, (__be32 *)&b.notice, sizeof(b) - sizeof(b.ip), 0));
	b.ip.version = 4;
	b.ip.ihl = 5;
	b.ip.tot_len = bpf_htons(sizeof(b));
	b.ip.frag_off = bpf_htons(0x4000);
	b.ip.ttl = 64;
	b.ip.protocol = IPPROTO_ICMP;
	b.ip.saddr = p->ip4->daddr;
	b.ip.daddr = p->ip4->saddr;
	b.ip.check = fold(bpf_csum_diff(0, 0, (__be32 *)&b.ip, sizeof(b.ip), 0));
	*out = b;
	return 0;
}

static __always_inline int write_bounce6(const struct packet *p, const struct sluice_request *q,
					 const struct sluice_answer *a)
{
	struct bounce6 b = {}, *out = (void *)p->ip6;
	__u32 bytes = sizeof(b) - sizeof(b.ip);
	__u64 sum;

	if (!p->ip6 || (void *)(out + 1) > (void *)(long)p->ctx->data_end)
		return -1;
	__builtin_memcpy(b.quote, p->ip6, sizeof(b.quote));
	fill_notice(&b.notice, q, a, sizeof(b.quote));
	b.notice.type = SLUICE_NOTICE_ICMP6;
	b.ip.version = 6;
	b.ip.payload_len = bpf_htons(bytes);
	b.ip.nexthdr = IPPROTO_ICMPV6;
	b.ip.hop_limit = 64;
	b.ip.saddr = p->ip6->daddr;
	b.ip.daddr = p->ip6->saddr;
	/* The pseudo-header of RFC 8200, 8.1: addresses, length, protocol. */
	sum = bpf_csum_diff(0, 0, (__be32 *)&b.ip.saddr, 32, bpf_htonl(bytes));
	sum = bpf_csum_diff(0, 0, (__be32 *)&b.notice, bytes, fold(sum) ^ 0xffff);
	b.notice.checksum = fold(sum + bpf_htonl(IPPROTO_ICMPV6));
	*out = b;
	return 0;
}

static __always_inline int take_bounce(struct packet *p, const struct sluice_request *q, const struct sluice_answer *a,
				       struct sluice_clock *clock)
{
	__u32 length = p->l3_offset + (p->ip4 ? sizeof(struct bounce4) : sizeof(struct bounce6));

	use_allowance(clock);
	if (p->ip4 ? write_bounce4(p, q, a) : write_bounce6(p, q, a))
		return XDP_DROP; /* cannot happen: may_bounce() asked for the length */
	swap_macs(p->eth);
	return bpf_xdp_adjust_tail(p->ctx, (int)length - (int)p->length) ? XDP_DROP : XDP_TX;
}

#endif
