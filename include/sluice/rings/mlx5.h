/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * mlx5 (drivers/net/ethernet/mellanox/mlx5/core/en): a send queue for redirected frames per channel, channel = CPU;
 * CPUs beyond the last cannot send (ENXIO). Producer and consumer count 64-byte WQE building blocks, and one
 * multi-packet WQE carries several frames: an occupancy, but no position of a frame (trust low).
 */
#ifndef SLUICE_RINGS_MLX5_H
#define SLUICE_RINGS_MLX5_H

#include "netdev.h"

SLUICE_INLINE void sluice_view_mlx5(const struct sluice_ring_site *site, struct sluice_ring_view *v)
{
	__u64 priv = sluice_netdev_priv(site->device), channels = SLUICE_GET(priv, MLX5_CHANNELS), channel, sq;
	__u32 queues = SLUICE_GET(priv, MLX5_QUEUES), consumed;

	if (!channels || site->cpu >= queues)
		return;
	v->index = site->cpu & (SLUICE_MAX_QUEUES - 1);
	channel = SLUICE_POINTER(channels + 8ull * v->index);
	if (!channel)
		return;
	sq = SLUICE_FIELD(channel, MLX5_SQ);
	if (SLUICE_HAS(MLX5_SQ_POINTER)) /* newer kernels allocate it apart */
		sq = SLUICE_POINTER(sq);
	if (!sq)
		return;
	consumed = SLUICE_GET(sq, MLX5_CONSUMED);
	SLUICE_THEN();
	sluice_ring_counters(v, SLUICE_GET(sq, MLX5_SIZE) + 1, SLUICE_GET(sq, MLX5_PRODUCED), consumed);
	v->modulus = 0;
}

#endif
