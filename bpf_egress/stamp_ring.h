/* SPDX-License-Identifier: GPL-2.0-only
 *
 * Stamp ring: for each descriptor position, when the frame entered and how many bytes of ours went before it. The
 * entry at the consumer's position then tells, exactly, the sojourn of the head-of-line frame, the bytes drained and
 * the bytes waiting. Positions that others filled (the stack's skbs) get a stamp without bytes.
 */
#ifndef SLUICE_STAMP_RING_H
#define SLUICE_STAMP_RING_H

#include <sluice/maps.bpf.h>
#include <sluice/phantom.h>

#include "ring_reader.h"

/* Foreign descriptors between two bulks that get a stamp each; of more, only the last ones. */
#define MAX_FOREIGN 64
#define MAX_BULK 16

/* Descriptors that the driver's producer index has moved since ring->produced, which is kept congruent to it. Exact
 * while fewer than `modulus` went in between. A first look joins the index where it is. */
static __always_inline __u64 producer_gap(const struct sluice_ring *ring, const struct sluice_ring_view *v)
{
	if (!ring->produced)
		return v->modulus + v->producer;
	return (v->producer + v->modulus - ring->produced % v->modulus) % v->modulus;
}

/* Positions share slots modulo a power of two that is just large enough for the ring and a bulk: the stamps of a
 * short ring then stay in the cache. */
static __always_inline __u32 stamp_mask(const struct sluice_ring_view *v)
{
	__u32 mask = v->size + MAX_BULK - 1;

	mask |= mask >> 1;
	mask |= mask >> 2;
	mask |= mask >> 4;
	mask |= mask >> 8;
	return mask & (SLUICE_STAMPS - 1);
}

static __always_inline void stamp(struct sluice_stamps *stamps, __u32 mask, __u64 position, __u64 now,
				  __u64 before_bytes)
{
	struct sluice_stamp *s = &stamps->at[position & mask & (SLUICE_STAMPS - 1)];

	s->time_ns = now;
	s->before_bytes = before_bytes;
}

/* Positions [from, to) that the stack or another CPU filled: no bytes of ours. */
static __always_inline void stamp_foreign(struct sluice_ring *ring, struct sluice_stamps *stamps, __u32 mask,
					  __u64 from, __u64 to, __u64 now)
{
	__u32 i;

	if (!ring->in_bytes && to - from > MAX_FOREIGN)
		from = to; /* joined a ring that was in use before us */
	ring->foreign += to - from;
	if (to - from > MAX_FOREIGN)
		from = to - MAX_FOREIGN;
	for (i = 0; i < MAX_FOREIGN; i++) {
		if (from + i >= to)
			break;
		stamp(stamps, mask, from + i, now, ring->in_bytes);
	}
}

#define LARGEST_HEADERS 22 /* Ethernet and two VLAN tags */

/* What the head of the ring tells now. CPUs that share the ring stamp past each other now and then: no reading holds
 * more than so many of the largest frames, nor is older than when the ring was last empty. */
static __always_inline void observe(struct sluice_ring *ring, const struct sluice_stamps *stamps,
				    const struct sluice_ring_view *v, const struct sluice_port *port, __u64 now,
				    struct sluice_reading *out)
{
	__u64 in_bytes = ring->in_bytes, waiting = 0, sojourn = 0, since_empty = now - ring->empty_ns, most;
	__u32 mask = stamp_mask(v), depth = v->occupancy < mask ? v->occupancy : mask;
	const struct sluice_stamp *head;

	if (depth) {
		head = &stamps->at[(ring->produced - depth) & mask & (SLUICE_STAMPS - 1)];
		if (head->time_ns && (__s64)(now - head->time_ns) > 0)
			sojourn = now - head->time_ns;
		if ((__s64)since_empty > 0 && sojourn > since_empty)
			sojourn = since_empty;
		most = (__u64)depth * sluice_wire_bytes(port, port->mtu + LARGEST_HEADERS);
		if (head->before_bytes <= in_bytes)
			waiting = in_bytes - head->before_bytes;
		if (waiting > most)
			waiting = most;
	} else {
		ring->empty_ns = now;
	}
	out->time_ns = now;
	out->sojourn_ns = sojourn;
	out->waiting_bytes = waiting;
	out->drained_bytes = in_bytes - waiting;
	out->occupancy = v->occupancy;
	out->size = v->size;
	out->empties = ring->empties;
	out->valid = 1;
}

#endif
