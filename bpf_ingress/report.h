/* SPDX-License-Identifier: GPL-2.0-only
 *
 * What a verdict looked like, for people: a sampled copy of the figures that led to it, and of the frame's first bytes.
 * Never a condition for the verdict, and nothing of it runs for frames that are simply forwarded.
 */
#ifndef SLUICE_REPORT_H
#define SLUICE_REPORT_H

#include "act.h"

/* Helpers that change a packet's bytes invalidate pointers into it; this one only reads. Where the kernel lacks it,
 * events carry no bytes. */
static __always_inline void copy_frame(struct sluice_event *e, const struct packet *p)
{
	__u32 bytes = p->length;

	e->frame_length = p->length;
	if (bytes > SLUICE_EVENT_FRAME)
		bytes = SLUICE_EVENT_FRAME;
	asm volatile("" : "+r"(bytes)); /* what the compiler knows of the bound, the verifier has to see too */
	bytes = ((bytes - 1) & (SLUICE_EVENT_FRAME - 1)) + 1; /* 1 .. SLUICE_EVENT_FRAME also for that of 6.1 */
	if (!frame_read(p->ctx, e->frame, bytes))
		e->captured = bytes;
}

/* The ring that this CPU feeds, as its last bulk found it. */
static __always_inline void copy_ring(struct sluice_event *e, const struct sluice_request *q,
				      const struct sluice_answer *a)
{
	__u32 row = q->port * q->cpus + a->tx->ring;
	const struct sluice_ring *ring = bpf_map_lookup_elem(&sl_rings, &row);

	e->ring = a->tx->ring;
	e->ring_delay_ns = a->ring_ns;
	if (!ring)
		return;
	e->ring_size = ring->hook.size;
	e->ring_occupancy = ring->hook.occupancy;
	e->ring_sojourn_ns = ring->hook.sojourn_ns;
}

static __always_inline void copy_flow(struct sluice_event *e, const struct packet *p)
{
	if (p->ip4) {
		__builtin_memcpy(e->src, &p->ip4->saddr, 4);
		__builtin_memcpy(e->dst, &p->ip4->daddr, 4);
	} else if (p->ip6) {
		__builtin_memcpy(e->src, &p->ip6->saddr, 16);
		__builtin_memcpy(e->dst, &p->ip6->daddr, 16);
	}
	e->sport = p->sport;
	e->dport = p->dport;
	e->family = p->family;
	e->proto = p->proto;
	e->dscp = p->tos >> 2;
	e->ecn = p->tos & ECN_MASK;
}

/* At most sample_rate events per CPU and jiffy. */
static __always_inline int may_report(struct sluice_clock *clock, const struct sluice_control *control)
{
	__u64 jiffies = bpf_jiffies64();

	if (clock->event_jiffies != jiffies) {
		clock->event_jiffies = jiffies;
		clock->events = 0;
	}
	if (clock->events >= control->sample_rate)
		return 0;
	clock->events++;
	return 1;
}

static __always_inline void report(const struct packet *p, const struct sluice_request *q,
				   const struct sluice_answer *a, struct sluice_clock *clock,
				   const struct sluice_control *control)
{
	struct sluice_event *e;

	if (!may_report(clock, control))
		return;
	e = bpf_ringbuf_reserve(&sl_events, sizeof(*e), 0);
	if (!e)
		return;
	__builtin_memset(e, 0, __builtin_offsetof(struct sluice_event, frame));
	e->kind = SLUICE_EVENT_VERDICT;
	e->cpu = q->cpu;
	e->time_ns = clock->now_ns;
	e->ingress_port = config.port;
	e->egress_port = q->port;
	e->class_id = q->class_id;
	e->bucket = a->bucket;
	e->outcome = a->outcome;
	e->length = q->wire;
	e->delay_ns = a->delay_ns;
	copy_ring(e, q, a);
	copy_flow(e, p);
	copy_frame(e, p);
	bpf_ringbuf_submit(e, BPF_RB_NO_WAKEUP);
}

#endif
