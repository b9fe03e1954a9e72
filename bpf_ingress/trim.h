/* SPDX-License-Identifier: GPL-2.0-only
 *
 * The way "trim": the payload is cut, the headers go on with the DSCP of trimmed packets, so that the receiver learns of
 * the loss at once (NDP, SIGCOMM 2017; Ultra Ethernet). Lengths of IP are right. The transport is left as it was: its
 * checksum and its length speak of the whole packet, which a receiver that knows of trimming wants and any other drops.
 */
#ifndef SLUICE_TRIM_H
#define SLUICE_TRIM_H

#include "act.h"

static __always_inline __u32 ip_bytes(const struct packet *p)
{
	if (p->ip4)
		return bpf_ntohs(p->ip4->tot_len);
	return p->ip6 ? sizeof(struct ipv6hdr) + bpf_ntohs(p->ip6->payload_len) : 0;
}

/* Whole IP packets whose transport follows their first header: of others the rest would not tell whose it is. A
 * fragment that lost bytes would spoil what it is assembled into, and a PPPoE session has a length of its own. */
static __always_inline int has_plain_headers(const struct packet *p)
{
	return p->family && !p->pppoe && !p->options && !p->fragment && (p->ip4 || (p->ip6 && p->ip6->nexthdr == p->proto));
}

/* Length of the frame when it is trimmed; 0 = it is none to trim. */
static __always_inline __u32 trimmed_length(const struct packet *p, const struct sluice_class *c)
{
	if (!has_plain_headers(p) || ip_bytes(p) <= c->trim_bytes)
		return 0;
	return p->l3_offset + c->trim_bytes;
}

/* The reserve: what is left of a packet may queue a quarter longer than the packet. Nothing is reserved for a flow that
 * does not slow down when its packets are refused: headers would fill the link in their place. */
static __always_inline int reserve_has_room(const struct sluice_request *q, const struct sluice_answer *a,
					    const struct sluice_port *port)
{
	const struct sluice_class *c = a->klass;
	const struct sluice_share *s = &c->share[c->current & 1];
	__u64 limit = s->limit_bytes;

	if (q->ect && c->mark && c->ect_limit_bytes > limit)
		limit = c->ect_limit_bytes;
	return a->flow->pressure < SLUICE_UNRESPONSIVE && sluice_lag(a->flow->finish, a->vt) <= limit + limit / 4 &&
	       a->ring_ns <= port->guard_limit_ns + port->guard_limit_ns / 4;
}

/* Cuts the frame to `length` bytes, 0 on success. Pointers into the frame are void after it. */
static __always_inline int cut(struct packet *p, __u32 length)
{
	__u16 bytes = length - p->l3_offset;

	if (p->ip4)
		ipv4_replace_word(p->ip4, &p->ip4->tot_len, bpf_htons(bytes));
	else if (p->ip6)
		p->ip6->payload_len = bpf_htons(bytes - sizeof(struct ipv6hdr));
	return bpf_xdp_adjust_tail(p->ctx, (int)length - (int)p->length);
}

#endif
