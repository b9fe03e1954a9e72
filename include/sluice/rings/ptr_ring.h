/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * ptr_ring (include/linux/ptr_ring.h): the TX ring of tun, and of veth's peer.
 */
#ifndef SLUICE_RINGS_PTR_RING_H
#define SLUICE_RINGS_PTR_RING_H

#include "ring.h"

/* producer == consumer_head means empty, unless the consumer has not yet cleared what it took (ptr_ring clears in
 * batches) and the producer has caught up: then the slot it would fill next still holds a pointer. */
SLUICE_INLINE void sluice_view_ptr_ring(__u64 ring, struct sluice_ring_view *v)
{
	__u32 producer = SLUICE_GET(ring, PTR_RING_PRODUCER), consumer = SLUICE_GET(ring, PTR_RING_CONSUMER);
	__u32 size = SLUICE_GET(ring, PTR_RING_SIZE);

	sluice_ring_indices(v, size, producer, consumer);
	if (!v->size || v->occupancy)
		return;
	if (SLUICE_POINTER(SLUICE_GET(ring, PTR_RING_QUEUE) + 8ull * producer))
		v->occupancy = size;
}

#endif
