/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * tun/tap (drivers/net/tun.c): tun_xdp_xmit() picks the queue by CPU; the reader of the TAP consumes its ptr_ring.
 */
#ifndef SLUICE_RINGS_TUN_H
#define SLUICE_RINGS_TUN_H

#include "netdev.h"
#include "ptr_ring.h"

#define SLUICE_TUN_MAX_QUEUES 256

SLUICE_INLINE void sluice_view_tun(const struct sluice_ring_site *site, struct sluice_ring_view *v)
{
	__u64 tun = sluice_netdev_priv(site->device), file;
	__u32 queues = SLUICE_GET(tun, TUN_QUEUES);

	if (!queues || queues > SLUICE_TUN_MAX_QUEUES)
		return;
	v->index = sluice_queue_of(site->cpu, queues);
	file = SLUICE_POINTER(SLUICE_FIELD(tun, TUN_FILES) + 8ull * v->index);
	sluice_view_ptr_ring(SLUICE_FIELD(file, TUN_RING), v);
}

#endif
