/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Where drivers keep their own data: behind the net_device (netdev_priv() in include/linux/netdevice.h).
 */
#ifndef SLUICE_RINGS_NETDEV_H
#define SLUICE_RINGS_NETDEV_H

#include "ring.h"

SLUICE_INLINE __u64 sluice_netdev_priv(__u64 device)
{
	return device + ((SLUICE_SIZE_OF(NET_DEVICE) + SLUICE_NETDEV_ALIGN - 1) & ~(SLUICE_NETDEV_ALIGN - 1));
}

#endif
