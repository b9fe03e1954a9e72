/* SPDX-License-Identifier: GPL-2.0-only
 *
 * Step 2: by which transition does the frame leave? Either the kernel's routes and neighbours answer (forward: fib),
 * or the policy does (forward: xconnect). Whatever XDP should not forward gets a SLUICE_PASS_* reason: the kernel then
 * handles the frame as if sluice were not there.
 */
#ifndef SLUICE_ROUTE_H
#define SLUICE_ROUTE_H

#include "parse.h"

#define AF_INET 2
#define AF_INET6 10

struct route {
	__u32 egress;          /* index into config.egress_* */
	const struct sluice_port *port; /* of the egress, where the route had to ask for it */
	__u8 dmac[6], smac[6]; /* forward: fib */
};

/* Bytes that the frame is longer when it leaves, modulo 2^32. */
static __always_inline __u32 growth(const struct packet *p)
{
	return config.xconnect ? 0 : sizeof(struct vlan_header) * (p->exit.count - p->tagged);
}

/* The interface that the frame has come to in the kernel's eyes: that of its VLAN, if it has tags. 0: none that is known. */
static __always_inline __u32 arrival(const struct packet *p)
{
	struct sluice_place place = {.ifindex = p->ctx->ingress_ifindex}, *vlan;

	if (!p->tagged)
		return place.ifindex;
	if (p->tagged > MAX_VLAN_TAGS)
		return 0;
	place.tags = p->tags;
	vlan = bpf_map_lookup_elem(&sl_vlans, &place);
	return vlan ? vlan->ifindex : 0;
}

static __always_inline int ipv4_is_special(__be32 address)
{
	__u32 a = bpf_ntohl(address);

	return a >> 28 >= 14 /* multicast, reserved, broadcast */ || a >> 16 == 0xa9fe /* 169.254/16 */ || a >> 24 == 127 ||
	       a >> 24 == 0;
}

static __always_inline int ipv6_is_special(const struct in6_addr *address)
{
	__u32 first = bpf_ntohl(address->in6_u.u6_addr32[0]);

	return first >> 24 == 0xff /* multicast */ || first >> 22 == 0xfe80 >> 6 /* link-local */ ||
	       (!first && !address->in6_u.u6_addr32[1] && !address->in6_u.u6_addr32[2]) /* ::, ::1, v4-compatible */;
}

/* Reasons that need no route look-up. */
static __always_inline __u32 fib_precheck(const struct packet *p, __u32 arrived_at)
{
	if (p->eth->h_dest[0] & 1)
		return SLUICE_PASS_MULTICAST;
	if (p->pppoe)
		return SLUICE_PASS_PPPOE;
	if (!p->family)
		return SLUICE_PASS_NON_IP;
	if (p->options)
		return SLUICE_PASS_OPTIONS;
	if (!arrived_at)
		return SLUICE_PASS_VLAN;
	if (config.check_mac) {
		const __u16 *mac = (const __u16 *)p->eth->h_dest;
		const volatile __u16 *own = (const volatile __u16 *)config.mac;

		if ((mac[0] ^ own[0]) | (mac[1] ^ own[1]) | (mac[2] ^ own[2]))
			return SLUICE_PASS_OTHERHOST;
	}
	if (p->ip4) {
		if (p->ip4->ttl <= 1)
			return SLUICE_PASS_TTL;
		return ipv4_is_special(p->ip4->daddr) || ipv4_is_special(p->ip4->saddr) ? SLUICE_PASS_MULTICAST
											   : SLUICE_FORWARD;
	}
	if (!p->ip6) /* cannot be, which the verifier of 6.1 does not see */
		return SLUICE_PASS_NON_IP;
	if (p->ip6->hop_limit <= 1)
		return SLUICE_PASS_TTL;
	return ipv6_is_special(&p->ip6->daddr) || ipv6_is_special(&p->ip6->saddr) ? SLUICE_PASS_MULTICAST
										   : SLUICE_FORWARD;
}

static __always_inline __u32 fib_reason(long code)
{
	switch (code) {
	case BPF_FIB_LKUP_RET_NO_NEIGH:
		return SLUICE_PASS_NEIGHBOUR;
	case BPF_FIB_LKUP_RET_FRAG_NEEDED:
		return SLUICE_PASS_MTU;
	default: /* local, blackhole, unreachable, prohibited, encapsulation, forwarding off: the kernel acts */
		return SLUICE_PASS_LOCAL;
	}
}

static __always_inline __u32 find_port(__u32 ifindex, __u32 *egress)
{
	__u32 i;

#pragma unroll
	for (i = 0; i < SLUICE_MAX_EGRESS; i++) {
		if (i < config.egress_count && config.egress_ifindex[i] == ifindex) {
			*egress = i;
			return SLUICE_FORWARD;
		}
	}
	return SLUICE_PASS_NOT_OURS;
}

/* By a VLAN interface: the index, or SLUICE_MAX_EGRESS: none. Not inline, like walk_headers(). */
__noinline __u32 find_vlan(__u32 ifindex, struct vlan_tags *tags)
{
	struct sluice_place interface = {.ifindex = ifindex}, *place;
	__u32 egress;

	place = bpf_map_lookup_elem(&sl_vlans, &interface);
	if (!place || !tags || find_port(place->ifindex, &egress) != SLUICE_FORWARD)
		return SLUICE_MAX_EGRESS;
	tags->tags = place->tags;
	tags->count = place->tags >> 16 ? 2 : 1;
	return egress;
}

/* The interface that the route leaves by is a port's, or a VLAN on one. */
static __always_inline __u32 find_egress(__u32 ifindex, struct packet *p, struct route *r)
{
	if (find_port(ifindex, &r->egress) == SLUICE_FORWARD)
		return SLUICE_FORWARD;
	r->egress = find_vlan(ifindex, &p->exit);
	return r->egress < SLUICE_MAX_EGRESS ? SLUICE_FORWARD : SLUICE_PASS_NOT_OURS;
}

/* What the kernel's routes go by, but for the interface. */
static __always_inline void fill_fib(struct bpf_fib_lookup *fib, const struct packet *p)
{
	fib->l4_protocol = p->proto;
	fib->sport = bpf_htons(p->sport);
	fib->dport = bpf_htons(p->dport);
	if (p->ip4) {
		fib->family = AF_INET;
		fib->tos = p->tos;
		fib->tot_len = FRAME_FIB_LENGTH(bpf_ntohs(p->ip4->tot_len));
		fib->ipv4_src = p->ip4->saddr;
		fib->ipv4_dst = p->ip4->daddr;
	} else if (p->ip6) {
		fib->family = AF_INET6;
		fib->flowinfo = *(__be32 *)p->ip6 & bpf_htonl(0x0fffffff);
		fib->tot_len = FRAME_FIB_LENGTH(bpf_ntohs(p->ip6->payload_len) + sizeof(struct ipv6hdr));
		__builtin_memcpy(fib->ipv6_src, &p->ip6->saddr, 16);
		__builtin_memcpy(fib->ipv6_dst, &p->ip6->daddr, 16);
	}
}

static __always_inline __u32 route_fib(struct frame_context *ctx, struct packet *p, struct route *r)
{
	struct bpf_fib_lookup fib = {};
	__u32 arrived_at = arrival(p), reason = fib_precheck(p, arrived_at);
	long code;

	if (reason != SLUICE_FORWARD)
		return reason;
	fill_fib(&fib, p);
	fib.ifindex = arrived_at;
	code = bpf_fib_lookup(ctx, &fib, sizeof(fib), 0);
	if (code != BPF_FIB_LKUP_RET_SUCCESS)
		return fib_reason(code);
	__builtin_memcpy(r->dmac, fib.dmac, 6);
	__builtin_memcpy(r->smac, fib.smac, 6);
	return find_egress(fib.ifindex, p, r);
}

/* A wire: everything goes through but the frames that end at the next station (IEEE 802.1Q table 8-1: STP, PAUSE,
 * LLDP, ...), and what the other end could not carry. */
static __always_inline __u32 route_xconnect(struct frame_context *ctx, const struct packet *p, struct route *r)
{
	const __u16 *mac = (const __u16 *)p->eth->h_dest;
	__u32 port_id = config.egress_port[0];
	const struct sluice_port *port;

	if (mac[0] == bpf_htons(0x0180) && mac[1] == bpf_htons(0xc200) && !(mac[2] & bpf_htons(0xfff0)))
		return SLUICE_PASS_MULTICAST;
	port = bpf_map_lookup_elem(&sl_ports, &port_id);
	if (!port || !frame_fits(ctx, p->length, p->l3_offset - p->pppoe, port->mtu))
		return SLUICE_PASS_MTU;
	r->egress = 0;
	r->port = port;
	return SLUICE_FORWARD;
}

static __always_inline __u32 route(struct frame_context *ctx, struct packet *p, struct route *r)
{
	return config.xconnect ? route_xconnect(ctx, p, r) : route_fib(ctx, p, r);
}

#endif
