/* SPDX-License-Identifier: GPL-2.0-only
 *
 * Step 1: headers in, struct packet out. Reads only; decides nothing but whether the frame is one that XDP may
 * forward. A cursor moves over the headers, each read checks its own bounds.
 */
#ifndef SLUICE_PARSE_H
#define SLUICE_PARSE_H

#include <linux/in.h>

#include "frame.h"

#define MAX_IPV6_EXTENSIONS 6
#define MAX_L3_OFFSET 64 /* a power of two above Ethernet, two tags and PPPoE */

/* PPPoE session header (RFC 2516) and the PPP protocol that follows it (RFC 1661), never compressed on Ethernet. */
#define PPPOE_VERSION_TYPE 0x11
#define PPPOE_SESSION_DATA 0
#define PPP_PROTO_IPV4 0x0021
#define PPP_PROTO_IPV6 0x0057

struct pppoe_header {
	__u8 version_type, code;
	__be16 session;
	__be16 length; /* of what follows, the PPP protocol included */
	__be16 ppp_proto;
};

struct port_pair {
	__be16 source, dest;
};

struct ipv6_extension {
	__u8 next;
	__u8 length; /* in 8 bytes, the first 8 not counted; AH: in 4 bytes, minus 2 */
	__be16 frag_offset;
};

struct vlan_tags {
	__u32 tags;           /* as in struct sluice_place */
	__u32 count;
};

struct packet {
	struct frame_context *ctx;
	struct ethhdr *eth;   /* where the frame begins */
	struct iphdr *ip4;    /* one of the two is set for IP, by find_headers() */
	struct ipv6hdr *ip6;
	__u32 length;         /* of the frame, all fragments of a multi-buffer frame included */
	__u32 l3_room;        /* bytes from the IP header to the end of the frame, or of the PPPoE payload */
	struct vlan_tags exit; /* that it leaves with; forward: fib */
	__u32 tags;           /* VLAN tags that it came with, as in struct sluice_place */
	__u16 l3_offset;      /* of the IP header, or of what stands there */
	__u16 tci;            /* of the outermost tag, host order: PCP 3 bits, DEI, VLAN id 12 bits */
	__u16 sport, dport;   /* host order */
	__u8 pppoe;           /* bytes of the PPPoE and PPP headers in front of it, 0 = none */
	__u8 family;          /* 4, 6, 0 = not IP */
	__u8 proto;           /* of the transport header, or of what stopped the walk */
	__u8 tos;             /* DSCP and ECN */
	__u8 tagged;          /* number of VLAN tags */
	__u8 fragment;        /* IP fragment, the first one too: ports are not used */
	__u8 has_ports;
	__u8 options;         /* IPv4 options or hop-by-hop header: routers must look at them */
};

struct cursor {
	void *at, *end;
};

static __always_inline void *take(struct cursor *c, __u32 bytes)
{
	void *header = c->at;

	if (header + bytes > c->end)
		return 0;
	c->at = header + bytes;
	return header;
}

static __always_inline void parse_ports(struct cursor *c, struct packet *p)
{
	struct port_pair *ports;

	if (p->fragment || (p->proto != IPPROTO_TCP && p->proto != IPPROTO_UDP && p->proto != IPPROTO_SCTP &&
			    p->proto != IPPROTO_UDPLITE && p->proto != IPPROTO_DCCP))
		return;
	ports = take(c, sizeof(*ports));
	if (!ports)
		return;
	p->sport = bpf_ntohs(ports->source);
	p->dport = bpf_ntohs(ports->dest);
	p->has_ports = 1;
}

/* Returns SLUICE_FORWARD or the SLUICE_PASS_* reason. */
static __always_inline __u32 parse_ipv4(struct cursor *c, struct packet *p)
{
	struct iphdr *ip = take(c, sizeof(*ip));

	if (!ip || ip->version != 4 || ip->ihl < 5)
		return SLUICE_PASS_MALFORMED;
	if (bpf_ntohs(ip->tot_len) < sizeof(*ip) || p->l3_room < (__u32)bpf_ntohs(ip->tot_len))
		return SLUICE_PASS_MALFORMED;
	p->family = 4;
	p->proto = ip->protocol;
	p->tos = ip->tos;
	p->options = ip->ihl > 5;
	if (p->options)
		return SLUICE_FORWARD; /* a wire carries it, without a look at its ports */
	p->fragment = (ip->frag_off & bpf_htons(0x3fff)) != 0;
	parse_ports(c, p);
	return SLUICE_FORWARD;
}

static __always_inline __u32 parse_ipv6(struct cursor *c, struct packet *p)
{
	struct ipv6hdr *ip = take(c, sizeof(*ip));
	struct ipv6_extension *ext;
	__u32 i;

	if (!ip || ip->version != 6)
		return SLUICE_PASS_MALFORMED;
	if (p->l3_room < sizeof(*ip) + bpf_ntohs(ip->payload_len))
		return SLUICE_PASS_MALFORMED;
	p->family = 6;
	p->proto = ip->nexthdr;
	p->tos = (bpf_ntohs(*(__be16 *)ip) >> 4) & 0xff;
	p->options = p->proto == IPPROTO_HOPOPTS;
	if (p->options)
		return SLUICE_FORWARD;
#pragma unroll
	for (i = 0; i < MAX_IPV6_EXTENSIONS; i++) {
		if (p->proto != IPPROTO_ROUTING && p->proto != IPPROTO_DSTOPTS && p->proto != IPPROTO_FRAGMENT &&
		    p->proto != IPPROTO_AH)
			break;
		ext = take(c, 8);
		if (!ext)
			return SLUICE_PASS_MALFORMED;
		if (p->proto == IPPROTO_FRAGMENT)
			p->fragment = 1;
		else if (!take(c, p->proto == IPPROTO_AH ? (ext->length + 2) * 4 - 8 : ext->length * 8))
			return SLUICE_PASS_MALFORMED;
		p->proto = ext->next;
	}
	parse_ports(c, p);
	return SLUICE_FORWARD;
}

/* PPPoE session: `*proto` becomes the ethertype of what it carries, 0 = not IP. Returns SLUICE_FORWARD or the reason. */
static __always_inline __u32 parse_pppoe(struct cursor *c, struct packet *p, __be16 *proto)
{
	__u32 room = p->l3_room;
	struct pppoe_header *ppp = take(c, sizeof(*ppp));
	__u32 bytes;

	if (!ppp || ppp->version_type != PPPOE_VERSION_TYPE || ppp->code != PPPOE_SESSION_DATA)
		return SLUICE_PASS_MALFORMED;
	bytes = bpf_ntohs(ppp->length);
	if (bytes < sizeof(ppp->ppp_proto) || room < sizeof(*ppp) - sizeof(ppp->ppp_proto) + bytes)
		return SLUICE_PASS_MALFORMED;
	p->pppoe = sizeof(*ppp);
	p->l3_room = bytes - sizeof(ppp->ppp_proto);
	*proto = ppp->ppp_proto == bpf_htons(PPP_PROTO_IPV4)   ? bpf_htons(ETH_P_IP)
		 : ppp->ppp_proto == bpf_htons(PPP_PROTO_IPV6) ? bpf_htons(ETH_P_IPV6)
							       : 0;
	return SLUICE_FORWARD;
}

/* Walks over the headers. Not inline: the verifier checks it once, and what it found are values that nobody knows
 * anything about, so that the steps after it are checked once too, not once for each way through the headers. Pointers
 * into the frame cannot leave it. */
__noinline __u32 walk_headers(struct frame_context *ctx, struct packet *p)
{
	struct cursor c = {(void *)(long)ctx->data, (void *)(long)ctx->data_end};
	void *data = c.at;
	struct vlan_header *vlan;
	struct ethhdr *eth;
	__be16 proto;
	__u32 i;

	if (!p)
		return SLUICE_PASS_MALFORMED;
	p->length = frame_length(ctx);
	eth = take(&c, sizeof(*eth));
	if (!eth)
		return SLUICE_PASS_MALFORMED;
	proto = eth->h_proto;
#pragma unroll
	for (i = 0; i < MAX_VLAN_TAGS; i++) {
		if (proto != bpf_htons(ETH_P_8021Q) && proto != bpf_htons(ETH_P_8021AD))
			break;
		vlan = take(&c, sizeof(*vlan));
		if (!vlan)
			return SLUICE_PASS_MALFORMED;
		p->tags |= SLUICE_TAG(bpf_ntohs(proto), bpf_ntohs(vlan->tci)) << 16 * i;
		proto = vlan->next_proto;
		if (!i)
			p->tci = bpf_ntohs(vlan->tci);
		p->tagged = i + 1;
	}
	p->l3_room = p->length - (__u32)(c.at - data);
	if (proto == bpf_htons(ETH_P_PPP_SES) && parse_pppoe(&c, p, &proto) != SLUICE_FORWARD)
		return SLUICE_PASS_MALFORMED;
	p->l3_offset = c.at - data;
	if (proto == bpf_htons(ETH_P_IP))
		return parse_ipv4(&c, p);
	if (proto == bpf_htons(ETH_P_IPV6))
		return parse_ipv6(&c, p);
	return SLUICE_FORWARD;
}

/* The pointers of `p`: 0, or -1 when the headers are not where they were, which cannot be. */
static __always_inline int find_headers(struct frame_context *ctx, struct packet *p)
{
	void *ip, *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	p->ctx = ctx;
	p->ip4 = 0;
	p->ip6 = 0;
	p->eth = data;
	if (data + sizeof(*p->eth) > end)
		return -1;
	ip = data + (p->l3_offset & (MAX_L3_OFFSET - 1));
	if (p->family == 4) {
		if (ip + sizeof(*p->ip4) > end)
			return -1;
		p->ip4 = ip;
	} else if (p->family == 6) {
		if (ip + sizeof(*p->ip6) > end)
			return -1;
		p->ip6 = ip;
	}
	return 0;
}

/* Fills `p`, which is all zero, from the frame in `ctx`. Returns SLUICE_FORWARD when the frame is a candidate for
 * forwarding (p->family is 0 for what is not IP), else the SLUICE_PASS_* reason. */
static __always_inline __u32 parse(struct frame_context *ctx, struct packet *p)
{
	__u32 outcome = walk_headers(ctx, p);
	__u16 proto, tci;

	asm volatile("" : "+r"(outcome)); /* which values it has, the compiler knows and the verifier does not */
	if (frame_tag(ctx, &proto, &tci)) {
		p->tags = p->tags << 16 | SLUICE_TAG(proto, tci);
		p->tci = tci;
		p->tagged++;
		p->length += sizeof(struct vlan_header);
	}
	if (find_headers(ctx, p))
		return SLUICE_PASS_MALFORMED;
	return outcome;
}

#endif
