/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * veth (drivers/net/veth.c): veth_xdp_xmit() fills the ring of the peer's receive queue, picked by CPU; the peer's
 * NAPI drains it.
 */
#ifndef SLUICE_RINGS_VETH_H
#define SLUICE_RINGS_VETH_H

#include "netdev.h"
#include "ptr_ring.h"

SLUICE_INLINE void sluice_view_veth(const struct sluice_ring_site *site, struct sluice_ring_view *v)
{
	__u64 peer = SLUICE_GET(sluice_netdev_priv(site->device), VETH_PEER), queue;
	__u32 queues;

	if (!peer)
		return;
	queues = SLUICE_GET(peer, NET_DEVICE_RX_QUEUES);
	if (!queues)
		return;
	v->index = sluice_queue_of(site->cpu, queues);
	queue = SLUICE_GET(sluice_netdev_priv(peer), VETH_QUEUES) + (__u64)v->index * SLUICE_SIZE_OF(VETH_RQ);
	sluice_view_ptr_ring(SLUICE_FIELD(queue, VETH_RING), v);
}

#endif
