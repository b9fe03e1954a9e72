/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * ptr_ring (include/linux/ptr_ring.h): the TX ring of tun, and of veth's peer.
 */
#ifndef SLUICE_RINGS_PTR_RING_H
#define SLUICE_RINGS_PTR_RING_H

#include "ring.h"

/* producer == consumer_head means empty, unless the consumer has not yet cleared what it took (ptr_ring clears in
 * batches) and the producer has caught up: then the slot it would fill next still holds a pointer. So does, for an
 * instant, the slot of a frame that is just entering an empty ring; but then the other half of the ring is empty. */
SLUICE_INLINE void sluice_view_ptr_ring(__u64 ring, struct sluice_ring_view *v)
{
	__u32 consumer = SLUICE_GET(ring, PTR_RING_CONSUMER), size = SLUICE_GET(ring, PTR_RING_SIZE), producer, opposite;
	__u64 queue;

	SLUICE_THEN();
	producer = SLUICE_GET(ring, PTR_RING_PRODUCER);
	sluice_ring_indices(v, size, producer, consumer);
	if (!v->size || v->occupancy)
		return;
	queue = SLUICE_GET(ring, PTR_RING_QUEUE);
	opposite = producer < size / 2 ? producer + size / 2 : producer - size / 2;
	if (SLUICE_POINTER(queue + 8ull * producer) && SLUICE_POINTER(queue + 8ull * opposite))
		v->occupancy = size;
}

#endif
