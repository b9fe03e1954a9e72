/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * One look at a TX ring: the way of its driver, chosen by the port's reader.
 */
#ifndef SLUICE_RINGS_DRIVERS_H
#define SLUICE_RINGS_DRIVERS_H

#include "i40e.h"
#include "ice.h"
#include "igb.h"
#include "igc.h"
#include "ixgbe.h"
#include "mlx5.h"
#include "tun.h"
#include "veth.h"
#include "virtio_net.h"

/* Fills `v`. `allowed`: a bit per reader whose fields are known. Returns 0, or -1 when it could not be read. */
SLUICE_INLINE int sluice_read_ring(__u32 reader, __u32 allowed, const struct sluice_ring_site *site,
				   struct sluice_ring_view *v)
{
	switch (reader) {
#define SLUICE_READER_CASE(id, function, driver, modules, trust) \
	case SLUICE_READER_##id:                                 \
		if (allowed & SLUICE_OWNER_##id)                 \
			sluice_view_##function(site, v);         \
		break;
		SLUICE_RING_DRIVERS(SLUICE_READER_CASE)
#undef SLUICE_READER_CASE
	}
	return v->size && v->occupancy <= v->size ? 0 : -1;
}

#endif
