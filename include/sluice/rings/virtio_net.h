/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * virtio_net (drivers/net/virtio_net.c, drivers/virtio/virtio_ring.c): virtnet_xdp_get_sq() gives each CPU a queue of
 * its own where there are enough, else they share. On a split ring the device's own used index is the truth; on a
 * packed one only the descriptors that the driver has reaped count as free, and the ring looks fuller than it is.
 */
#ifndef SLUICE_RINGS_VIRTIO_NET_H
#define SLUICE_RINGS_VIRTIO_NET_H

#include "netdev.h"

SLUICE_INLINE void sluice_view_virtio(const struct sluice_ring_site *site, struct sluice_ring_view *v)
{
	__u64 info = sluice_netdev_priv(site->device), sq, vq, ring;
	__u32 pairs = SLUICE_GET(info, VIRTIO_PAIRS), own = SLUICE_GET(info, VIRTIO_XDP_PAIRS), queue, free, used;

	if (!pairs)
		return;
	v->index = sluice_queue_of(site->cpu, pairs > site->cpus ? site->cpus : pairs);
	queue = (pairs > site->cpus ? pairs - own + site->cpu : v->index) & (SLUICE_MAX_QUEUES - 1);
	sq = SLUICE_GET(info, VIRTIO_QUEUES) + (__u64)queue * SLUICE_SIZE_OF(VIRTIO_SQ);
	vq = SLUICE_GET(sq, VIRTIO_SQ_VQ);
	if (!vq)
		return;
	ring = vq - SLUICE_LAYOUT(SLUICE_FIELD_VRING_VQ);
	if (SLUICE_GET(ring, VRING_PACKED)) {
		free = SLUICE_GET(vq, VQ_FREE);
		v->size = SLUICE_GET(vq, VQ_MAX);
		v->occupancy = v->size - free;
		return;
	}
	used = SLUICE_GET(SLUICE_GET(ring, VRING_USED), VRING_USED_IDX);
	SLUICE_THEN();
	sluice_ring_counters(v, SLUICE_GET(ring, VRING_NUM), SLUICE_GET(ring, VRING_AVAIL_IDX), used);
}

#endif
