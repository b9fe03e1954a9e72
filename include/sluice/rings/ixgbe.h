/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * ixgbe (drivers/net/ethernet/intel/ixgbe): XDP rings of its own, one per CPU or shared by CPU modulo where there are
 * fewer, allocated while an XDP program is attached. The NAPI poll of the queue's vector moves next_to_clean.
 */
#ifndef SLUICE_RINGS_IXGBE_H
#define SLUICE_RINGS_IXGBE_H

#include "netdev.h"

SLUICE_INLINE void sluice_view_ixgbe(const struct sluice_ring_site *site, struct sluice_ring_view *v)
{
	__u64 adapter = sluice_netdev_priv(site->device), ring;
	__u32 queues, clean;

	if (SLUICE_HAS(IXGBE_ADAPTER)) /* 6.16: the adapter is devlink's, the net_device only points to it */
		adapter = SLUICE_GET(adapter, IXGBE_ADAPTER);
	queues = SLUICE_GET(adapter, IXGBE_QUEUES);
	if (!queues)
		return;
	v->index = sluice_queue_of(site->cpu, queues);
	ring = SLUICE_POINTER(SLUICE_FIELD(adapter, IXGBE_RINGS) + 8ull * v->index);
	if (ring) {
		clean = SLUICE_GET(ring, IXGBE_CLEAN);
		SLUICE_THEN();
		sluice_ring_indices(v, SLUICE_GET(ring, IXGBE_COUNT), SLUICE_GET(ring, IXGBE_USE), clean);
	}
}

#endif
