/* SPDX-License-Identifier: GPL-2.0-only
 *
 * What becomes of a frame that must not join the queue: the first possible way of its class's list, else the drop that
 * admission decided. A way that no class of this port uses is a constant of the program and costs nothing.
 */
#ifndef SLUICE_WAYS_OUT_H
#define SLUICE_WAYS_OUT_H

#include "act.h"

/* May this frame go that way now? Changes nothing. */
static __always_inline int way_is_possible(__u32 way)
{
	switch (way) {
	case SLUICE_WAY_SPILL:
		return config.ways & 1 << SLUICE_WAY_SPILL;
	default:
		return 0;
	}
}

static __always_inline __u32 first_possible_way(__u32 ways)
{
	__u32 i, way;

#pragma unroll
	for (i = 1; i < SLUICE_WAYS; i++, ways >>= SLUICE_WAY_BITS) {
		way = ways & ((1 << SLUICE_WAY_BITS) - 1);
		if (way_is_possible(way))
			return way;
	}
	return SLUICE_WAY_DROP;
}

/* Takes the way of a frame that `a` leaves open, and counts it. A flow that is away goes on there. */
static __always_inline void way_out(const struct sluice_request *q, struct sluice_answer *a)
{
	__u32 outcome = a->outcome, way;

	if (outcome < SLUICE_SPILL) {
		way = first_possible_way(a->klass->ways);
		if (way != SLUICE_WAY_DROP)
			outcome = SLUICE_WAY_OUTCOME(way);
	}
	sluice_settle(q, a, outcome);
}

#endif
