/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * igc (drivers/net/ethernet/intel/igc): XDP frames share the TX rings of the stack, picked by CPU modulo, under the
 * queue's lock. The NAPI poll of the queue's vector moves next_to_clean.
 */
#ifndef SLUICE_RINGS_IGC_H
#define SLUICE_RINGS_IGC_H

#include "netdev.h"

SLUICE_INLINE void sluice_view_igc(const struct sluice_ring_site *site, struct sluice_ring_view *v)
{
	__u64 adapter = sluice_netdev_priv(site->device), ring;
	__u32 queues = SLUICE_GET(adapter, IGC_QUEUES), clean;

	if (!queues)
		return;
	v->index = sluice_queue_of(site->cpu, queues);
	ring = SLUICE_POINTER(SLUICE_FIELD(adapter, IGC_RINGS) + 8ull * v->index);
	if (ring) {
		clean = SLUICE_GET(ring, IGC_CLEAN);
		SLUICE_THEN();
		sluice_ring_indices(v, SLUICE_GET(ring, IGC_COUNT), SLUICE_GET(ring, IGC_USE), clean);
	}
}

#endif
