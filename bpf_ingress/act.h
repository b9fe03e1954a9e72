/* SPDX-License-Identifier: GPL-2.0-only
 *
 * Step 5: carry the verdict out on the bytes of the frame: TTL, MAC addresses, CE mark, with checksums that stay right.
 */
#ifndef SLUICE_ACT_H
#define SLUICE_ACT_H

#include "route.h"

#define ECN_MASK 3
#define ECN_CE 3

/* One 16-bit word of an IPv4 header changes (RFC 1624, equation 3). */
static __always_inline void ipv4_replace_word(struct iphdr *ip, __be16 *word, __be16 value)
{
	__u32 sum = (__u16)~ip->check;

	sum += (__u16)~*word;
	sum += value;
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	ip->check = (__u16)~sum;
	*word = value;
}

static __always_inline void set_ce(struct packet *p)
{
	if (p->ip4) {
		__be16 *word = (__be16 *)p->ip4; /* version, IHL, TOS */

		ipv4_replace_word(p->ip4, word, *word | bpf_htons(ECN_CE));
	} else if (p->ip6) {
		*(__be32 *)p->ip6 |= bpf_htonl(ECN_CE << 20);
	}
}

/* `remark`: sluice_class.remark. */
static __always_inline void set_dscp(struct packet *p, __u8 remark)
{
	__u16 dscp = remark & 63;

	if (p->ip4) {
		__be16 *word = (__be16 *)p->ip4;

		ipv4_replace_word(p->ip4, word, (*word & bpf_htons(0xff03)) | bpf_htons(dscp << 2));
	} else if (p->ip6) {
		__be16 *word = (__be16 *)p->ip6; /* version 4 bits, traffic class 8, flow label 4 */

		*word = (*word & bpf_htons(0xf03f)) | bpf_htons(dscp << 6);
	}
}

static __always_inline void hop(struct packet *p, const struct route *r)
{
	if (p->ip4) {
		__be16 *word = (__be16 *)&p->ip4->ttl; /* TTL, protocol */

		ipv4_replace_word(p->ip4, word, *word - bpf_htons(0x0100));
	} else if (p->ip6) {
		p->ip6->hop_limit--;
	}
	__builtin_memcpy(p->eth->h_dest, r->dmac, 6);
	__builtin_memcpy(p->eth->h_source, r->smac, 6);
}

/* The VLAN tags of the way out in the place of those that the frame came with: the last thing that is done to it. 0 on
 * success, and nothing else is known to happen: every driver leaves room in front of a frame. */
static __always_inline int retag(const struct packet *p)
{
	if (config.xconnect || p->exit.tags == p->tags)
		return 0;
	return frame_set_tags(p->ctx, p->tagged, p->exit.count, p->exit.tags);
}

#endif
