/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * ice (drivers/net/ethernet/intel/ice): XDP rings of its own, shared by CPU modulo where there are fewer. Completions
 * are reaped when the ring runs short of descriptors, not when frames leave: it looks fuller than it is, so its
 * reading is a cross-check only (trust low).
 */
#ifndef SLUICE_RINGS_ICE_H
#define SLUICE_RINGS_ICE_H

#include "netdev.h"

SLUICE_INLINE void sluice_view_ice(const struct sluice_ring_site *site, struct sluice_ring_view *v)
{
	__u64 vsi = SLUICE_GET(sluice_netdev_priv(site->device), ICE_VSI), rings, ring;
	__u32 queues = SLUICE_GET(vsi, ICE_QUEUES), clean;

	rings = SLUICE_GET(vsi, ICE_RINGS); /* null while no XDP program is attached */
	if (!rings || !queues)
		return;
	v->index = sluice_queue_of(site->cpu, queues);
	ring = SLUICE_POINTER(rings + 8ull * v->index);
	if (ring) {
		clean = SLUICE_GET(ring, ICE_CLEAN);
		SLUICE_THEN();
		sluice_ring_indices(v, SLUICE_GET(ring, ICE_COUNT), SLUICE_GET(ring, ICE_USE), clean);
	}
}

#endif
