/* SPDX-License-Identifier: GPL-2.0-only
 *
 * The frame at the hook that takes it: XDP, or with SLUICE_TC tc ingress, which stands in where XDP cannot be attached.
 * All that differs between the two: context, length, verdicts, the way out.
 */
#ifndef SLUICE_FRAME_H
#define SLUICE_FRAME_H

#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>

#include <sluice/admit.bpf.h>

#define MAX_VLAN_TAGS 2

struct vlan_header {
	__be16 tci;
	__be16 next_proto;
};

struct mac_pair {
	__be16 word[6];
};

static __always_inline __u16 tag_protocol(__u32 tag)
{
	return tag & SLUICE_TAG_8021AD ? ETH_P_8021AD : ETH_P_8021Q;
}

extern const volatile struct sluice_ingress_config config;

#ifdef SLUICE_TC
#include <linux/pkt_cls.h>

#define frame_context __sk_buff
#define FRAME_PASS TC_ACT_UNSPEC /* whoever comes next decides */
#define FRAME_DROP TC_ACT_SHOT
#define FRAME_HEADERS 256 /* bytes that are made readable by pointer, more than the longest walk over headers */

/* False: no memory for it. */
static __always_inline int frame_open(struct __sk_buff *ctx)
{
	return !bpf_skb_pull_data(ctx, ctx->len < FRAME_HEADERS ? ctx->len : FRAME_HEADERS);
}

/* Without the VLAN tag that the stack has taken out. A super frame counts whole: its IP header says so. */
static __always_inline __u32 frame_length(struct __sk_buff *ctx)
{
	return ctx->len;
}

/* A super frame is counted as the frames that it was made of: here those beyond the first. */
static __always_inline __u32 frame_more(struct __sk_buff *ctx)
{
	return ctx->gso_segs > 1 ? ctx->gso_segs - 1 : 0;
}

/* Its outermost tag, if the stack has taken it out: protocol, then VLAN id and PCP, host order. */
static __always_inline int frame_tag(struct __sk_buff *ctx, __u16 *proto, __u16 *tci)
{
	*proto = bpf_ntohs(ctx->vlan_proto);
	*tci = ctx->vlan_tci;
	return ctx->vlan_present;
}

static __always_inline long frame_read(struct __sk_buff *ctx, void *to, __u32 bytes)
{
	return bpf_skb_load_bytes(ctx, 0, to, bytes);
}

/* What the IP header leads: TCP with its usual option, or UDP. */
static __always_inline __u32 frame_headers(__u32 l3_offset, __u32 family, __u32 proto)
{
	return l3_offset + (family == 6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr)) + (proto == 6 ? 32 : 8);
}

/* Bytes on the wire; of a super frame, those of the frames that it will be cut into. */
static __always_inline __u32 frame_wire(struct __sk_buff *ctx, const struct sluice_port *port, __u32 length,
					__u32 headers)
{
	__u32 more = frame_more(ctx);

	return (more + 1) * sluice_wire_bytes(port, (length + more * headers) / (more + 1));
}

/* Into an MTU, without the `header` bytes of Ethernet and tags. TCP headers without options: a super frame was made of
 * frames that an MTU has let through. */
static __always_inline int frame_fits(struct __sk_buff *ctx, __u32 length, __u32 header, __u32 mtu)
{
	return ctx->gso_segs < 2 ? ctx->len - header <= mtu : ctx->gso_size + 40 <= mtu;
}

/* 0: the kernel asks the frame itself, which knows what it will be cut into. */
#define FRAME_FIB_LENGTH(bytes) 0

/* `want` VLAN tags in the place of the `had` that the frame has. 0 on success. Pointers into the frame are void after it.
 * Not inline, like walk_headers(). */
__noinline int frame_set_tags(struct __sk_buff *ctx, __u32 had, __u32 want, __u32 tags)
{
	if (had > 0 && bpf_skb_vlan_pop(ctx))
		return -1;
	if (had > 1 && bpf_skb_vlan_pop(ctx))
		return -1;
	if (want > 1 && bpf_skb_vlan_push(ctx, bpf_htons(tag_protocol(tags >> 16)), tags >> 16 & 0xfff))
		return -1;
	if (want > 0 && bpf_skb_vlan_push(ctx, bpf_htons(tag_protocol(tags)), tags & 0xfff))
		return -1;
	return 0;
}

/* The kernel lets one kind of program alone use a devmap, and the device need not take redirected frames here. */
static __always_inline int frame_has_way(__u32 port_id, const struct sluice_port *port)
{
	return !port->down;
}

/* By way of the device's qdisc; `egress`: index into config.egress_*. The mark tells the tc program there that this frame
 * has been counted. */
static __always_inline int frame_redirect(struct __sk_buff *ctx, __u32 egress)
{
	ctx->tc_index = SLUICE_TC_INDEX;
	return bpf_redirect(config.egress_ifindex[egress & (SLUICE_MAX_EGRESS - 1)], 0);
}

#else
#include <bpf/bpf_core_read.h>

#define frame_context xdp_md
#define FRAME_PASS XDP_PASS
#define FRAME_DROP XDP_DROP
#define FRAME_FIB_LENGTH(bytes) (bytes)

static __always_inline int frame_open(struct xdp_md *ctx)
{
	return 1;
}

/* All fragments of a multi-buffer frame included. */
static __always_inline __u32 frame_length(struct xdp_md *ctx)
{
	return config.frags ? (__u32)bpf_xdp_get_buff_len(ctx) : (__u32)(ctx->data_end - ctx->data);
}

static __always_inline __u32 frame_more(struct xdp_md *ctx)
{
	return 0;
}

static __always_inline int frame_tag(struct xdp_md *ctx, __u16 *proto, __u16 *tci)
{
	return 0;
}

/* Kernels before 5.18 lack it. */
static __always_inline long frame_read(struct xdp_md *ctx, void *to, __u32 bytes)
{
	if (!bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_xdp_load_bytes))
		return -1;
	return bpf_xdp_load_bytes(ctx, 0, to, bytes);
}

static __always_inline __u32 frame_headers(__u32 l3_offset, __u32 family, __u32 proto)
{
	return 0;
}

static __always_inline __u32 frame_wire(struct xdp_md *ctx, const struct sluice_port *port, __u32 length, __u32 headers)
{
	return sluice_wire_bytes(port, length);
}

static __always_inline int frame_fits(struct xdp_md *ctx, __u32 length, __u32 header, __u32 mtu)
{
	return length - header <= mtu;
}

__noinline int frame_set_tags(struct xdp_md *ctx, __u32 had, __u32 want, __u32 tags)
{
	struct mac_pair *head = (void *)(long)ctx->data, macs;
	__be16 *at;

	if ((void *)head + sizeof(struct ethhdr) > (void *)(long)ctx->data_end)
		return -1;
	macs = *head;
	if (want != had && bpf_xdp_adjust_head(ctx, (int)sizeof(struct vlan_header) * ((int)had - (int)want)))
		return -1;
	head = (void *)(long)ctx->data;
	if ((void *)head + sizeof(struct ethhdr) + MAX_VLAN_TAGS * sizeof(struct vlan_header) > (void *)(long)ctx->data_end)
		return -1;
	*head = macs;
	at = (__be16 *)(head + 1);
	if (want > 0) {
		*at++ = bpf_htons(tag_protocol(tags));
		*at++ = bpf_htons(tags & 0xfff);
	}
	if (want > 1) {
		*at++ = bpf_htons(tag_protocol(tags >> 16));
		*at++ = bpf_htons(tags >> 16 & 0xfff);
	}
	return 0; /* the ethertype is where it was: in front of the packet */
}

/* Also prepares the redirect. */
static __always_inline int frame_has_way(__u32 port_id, const struct sluice_port *port)
{
	return bpf_redirect_map(&sl_devmap, port_id, 0) == XDP_REDIRECT;
}

static __always_inline int frame_redirect(struct xdp_md *ctx, __u32 egress)
{
	return XDP_REDIRECT;
}

#endif
#endif
