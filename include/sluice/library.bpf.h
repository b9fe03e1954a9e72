/* SPDX-License-Identifier: GPL-2.0-only
 *
 * Library mode: somebody else's XDP program asks sluice for a verdict before its own redirect. sluiced runs with a
 * transition of `forward: library`: it attaches no ingress program to those ports, but keeps the maps filled, reads the
 * TX ring and simulates the queue as for any other. The program shares its pinned maps, see library.h.
 *
 *	struct sluice_question ask = {.transition = 0, .hash = ..., .length = ..., .tos = ip->tos,
 *				      .class_index = SLUICE_DEFAULT_CLASS};
 *	struct sluice_verdict verdict;
 *
 *	switch (sluice_ask(&ask, &verdict)) {
 *	case SLUICE_MARK:
 *		sluice_set_ce_ipv4(ip);
 *		// fall through
 *	case SLUICE_FORWARD:
 *		return sluice_redirect(&verdict);
 *	case SLUICE_ASK_UNKNOWN:
 *		return XDP_PASS;
 *	default:
 *		return XDP_DROP;
 *	}
 */
#ifndef SLUICE_LIBRARY_BPF_H
#define SLUICE_LIBRARY_BPF_H

#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>

#include "admit.bpf.h"

/* Possible CPUs. The loader sets it before it loads: it is a constant of the machine. */
const volatile __u32 sluice_cpus = 1;

struct sluice_question {
	__u32 transition; /* index in the policy file, from 0 */
	__u32 hash;       /* of whatever shall be served fairly, by sluice_hash_mix() and sluice_hash_final() */
	__u32 length;     /* of the frame, from the Ethernet header on, as it will be sent */
	__u32 tos;        /* DSCP and ECN of the IP header, 0 = not IP */
	__u32 class_index; /* of the transition's classes as the policy lists them; SLUICE_DEFAULT_CLASS */
};

#define SLUICE_DEFAULT_CLASS 0xffffffffu

struct sluice_verdict {
	struct sluice_request request;
	struct sluice_answer answer;
};

/* No verdict: no such transition in the running policy, or its device is gone. Leave the frame to the kernel. */
#define SLUICE_ASK_UNKNOWN 0xffffffffu

/* A controller that sleeps because nothing flowed is woken by the first frame. */
SLUICE_INLINE void sluice_wake(struct sluice_control *control)
{
	struct sluice_event *e;

	if (!control->wake)
		return;
	e = bpf_ringbuf_reserve(&sl_events, sizeof(*e), 0);
	if (!e)
		return; /* the next frame tries again */
	control->wake = 0;
	e->kind = SLUICE_EVENT_WAKE;
	bpf_ringbuf_submit(e, BPF_RB_FORCE_WAKEUP);
}

/* Returns SLUICE_FORWARD, SLUICE_MARK (forward with CE), SLUICE_DROP_* or SLUICE_ASK_UNKNOWN. Counted and charged as if
 * sluice's own program had asked; matching frames to classes is the caller's business (class_index). */
SLUICE_INLINE __u32 sluice_ask(const struct sluice_question *ask, struct sluice_verdict *v)
{
	__u32 zero = 0, cpu = bpf_get_smp_processor_id(), row, port_id;
	struct sluice_control *control = bpf_map_lookup_elem(&sl_control, &zero);
	struct sluice_clock *clock = bpf_map_lookup_elem(&sl_clocks, &cpu);
	struct sluice_transition *t;
	struct sluice_rows rows = {.control = control, .clock = clock};

	if (!control || !clock || ask->transition >= SLUICE_MAX_TRANSITIONS)
		return SLUICE_ASK_UNKNOWN;
	row = (control->generation & 1) * SLUICE_MAX_TRANSITIONS + ask->transition;
	t = bpf_map_lookup_elem(&sl_transitions, &row);
	if (!t)
		return SLUICE_ASK_UNKNOWN;
	port_id = t->to;
	rows.port = bpf_map_lookup_elem(&sl_ports, &port_id);
	if (!rows.port || !rows.port->ifindex)
		return SLUICE_ASK_UNKNOWN;
	sluice_wake(control);
	__builtin_memset(v, 0, sizeof(*v));
	v->request.port = port_id;
	v->request.class_id = t->first_class + (ask->class_index < t->default_class ? ask->class_index : t->default_class);
	v->request.hash = ask->hash | 1;
	v->request.wire = sluice_wire_bytes(rows.port, ask->length);
	v->request.cpu = cpu;
	v->request.cpus = sluice_cpus;
	v->request.ect = (ask->tos & 3) != 0;
	v->request.l4s = (ask->tos & 3) == 1;
	v->request.shadow = t->shadow;
	if (sluice_admit_rows(&v->request, &rows, &v->answer))
		return SLUICE_ASK_UNKNOWN;
	return v->answer.outcome;
}

/* Sends an admitted frame; returns what the XDP program has to return. */
SLUICE_INLINE int sluice_redirect(const struct sluice_verdict *v)
{
	if (bpf_redirect_map(&sl_devmap, v->request.port, 0) != XDP_REDIRECT)
		return XDP_PASS;
	sluice_note_redirect(&v->request, &v->answer);
	return XDP_REDIRECT;
}

/* CE into an IPv4 header whose ECN field is not zero, checksum kept right (RFC 3168, RFC 1624). */
SLUICE_INLINE void sluice_set_ce_ipv4(struct iphdr *ip)
{
	__be16 *word = (__be16 *)ip, before = *word, after = before | bpf_htons(3);
	__u32 sum = (__u16)~ip->check + (__u16)~before + after;

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	ip->check = (__u16)~sum;
	*word = after;
}

SLUICE_INLINE void sluice_set_ce_ipv6(struct ipv6hdr *ip)
{
	*(__be32 *)ip |= bpf_htonl(3u << 20);
}

#endif
