/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * i40e (drivers/net/ethernet/intel/i40e): XDP rings of its own, one per queue pair, index = CPU; CPUs beyond the last
 * cannot send (ENXIO). The NAPI poll of the queue's vector moves next_to_clean.
 */
#ifndef SLUICE_RINGS_I40E_H
#define SLUICE_RINGS_I40E_H

#include "netdev.h"

SLUICE_INLINE void sluice_view_i40e(const struct sluice_ring_site *site, struct sluice_ring_view *v)
{
	__u64 vsi = SLUICE_GET(sluice_netdev_priv(site->device), I40E_VSI), rings, ring;
	__u32 queues = SLUICE_GET(vsi, I40E_QUEUES), clean;

	rings = SLUICE_GET(vsi, I40E_RINGS); /* null while no XDP program is attached */
	if (!rings || site->cpu >= queues)
		return;
	v->index = site->cpu & (SLUICE_MAX_QUEUES - 1);
	ring = SLUICE_POINTER(rings + 8ull * v->index);
	if (ring) {
		clean = SLUICE_GET(ring, I40E_CLEAN);
		SLUICE_THEN();
		sluice_ring_indices(v, SLUICE_GET(ring, I40E_COUNT), SLUICE_GET(ring, I40E_USE), clean);
	}
}

#endif
