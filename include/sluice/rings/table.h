/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * All that sluice knows of the kernel's drivers: whose TX ring it can read, how far a reading is believed, and which
 * fields it walks to get there. The programs, the daemon and the tests are made from these rows. A new driver is a row
 * here, its fields, and one header beside this one that says the way. Which were run and which only have their fields
 * proven: docs/drivers.md.
 *
 * Drivers are modules, each with type information (BTF) of its own. The daemon finds the fields there and gives the
 * programs their offsets as constants: libbpf would have to ask the kernel for the BTF of every module by id, which
 * takes CAP_SYS_ADMIN.
 */
#ifndef SLUICE_RINGS_TABLE_H
#define SLUICE_RINGS_TABLE_H

/* How far the control loop believes a reading. */
enum sluice_trust {
	SLUICE_TRUST_NONE = 0,
	SLUICE_TRUST_LOW,       /* completions are reaped lazily: a cross-check, the port runs on its rate */
	SLUICE_TRUST_MODERATED, /* late by up to one interrupt moderation interval of the driver */
	SLUICE_TRUST_EXACT,     /* the consumer's own index */
	SLUICE_TRUSTS
};

/* id, function, driver as ethtool -i says, kernel modules that hold its types, trust */
#define SLUICE_RING_DRIVERS(ROW)                                           \
	ROW(TUN, tun, "tun", "tun", EXACT)                                 \
	ROW(VETH, veth, "veth", "veth", EXACT)                             \
	ROW(VIRTIO, virtio, "virtio_net", "virtio_net virtio_ring", EXACT) \
	ROW(IXGBE, ixgbe, "ixgbe", "ixgbe", MODERATED)                     \
	ROW(IGB, igb, "igb", "igb", MODERATED)                             \
	ROW(IGC, igc, "igc", "igc", MODERATED)                             \
	ROW(I40E, i40e, "i40e", "i40e", MODERATED)                         \
	ROW(ICE, ice, "ice", "ice", LOW)                                   \
	ROW(MLX5, mlx5, "mlx5_core", "mlx5_core", LOW)

/* Owner, name, structure, path of members, bytes (0: an array or structure; without a path: how large the structure
 * is). Its owner can do nothing without a field that it NEEDs; some kernels have those that it MAY find. */
#define SLUICE_RING_FIELDS(NEED, MAY)                                              \
	NEED(ALL, NET_DEVICE, net_device, , 0)                                            \
	NEED(ALL, NET_DEVICE_RX_QUEUES, net_device, real_num_rx_queues, 4)                \
	NEED(PTR_RING, PTR_RING_PRODUCER, ptr_ring, producer, 4)                          \
	NEED(PTR_RING, PTR_RING_CONSUMER, ptr_ring, consumer_head, 4)                     \
	NEED(PTR_RING, PTR_RING_SIZE, ptr_ring, size, 4)                                  \
	NEED(PTR_RING, PTR_RING_QUEUE, ptr_ring, queue, 8)                                \
	NEED(TUN, TUN_FILES, tun_struct, tfiles, 0)                                       \
	NEED(TUN, TUN_QUEUES, tun_struct, numqueues, 4)                                   \
	NEED(TUN, TUN_RING, tun_file, tx_ring, 0)                                         \
	NEED(VETH, VETH_PEER, veth_priv, peer, 8)                                         \
	NEED(VETH, VETH_QUEUES, veth_priv, rq, 8)                                         \
	NEED(VETH, VETH_RQ, veth_rq, , 0)                                                 \
	NEED(VETH, VETH_RING, veth_rq, xdp_ring, 0)                                       \
	NEED(VIRTIO, VIRTIO_QUEUES, virtnet_info, sq, 8)                                  \
	NEED(VIRTIO, VIRTIO_PAIRS, virtnet_info, curr_queue_pairs, 2)                     \
	NEED(VIRTIO, VIRTIO_XDP_PAIRS, virtnet_info, xdp_queue_pairs, 2)                  \
	NEED(VIRTIO, VIRTIO_SQ, send_queue, , 0)                                          \
	NEED(VIRTIO, VIRTIO_SQ_VQ, send_queue, vq, 8)                                     \
	NEED(VIRTIO, VRING_VQ, vring_virtqueue, vq, 0)                                    \
	NEED(VIRTIO, VRING_PACKED, vring_virtqueue, packed_ring, 1)                       \
	NEED(VIRTIO, VRING_NUM, vring_virtqueue, split.vring.num, 4)                      \
	NEED(VIRTIO, VRING_USED, vring_virtqueue, split.vring.used, 8)                    \
	NEED(VIRTIO, VRING_AVAIL_IDX, vring_virtqueue, split.avail_idx_shadow, 2)         \
	NEED(VIRTIO, VRING_USED_IDX, vring_used, idx, 2)                                  \
	NEED(VIRTIO, VQ_FREE, virtqueue, num_free, 4)                                     \
	NEED(VIRTIO, VQ_MAX, virtqueue, num_max, 4)                                       \
	MAY(IXGBE, IXGBE_ADAPTER, ixgbe_netdevice_priv, adapter, 8)                       \
	NEED(IXGBE, IXGBE_QUEUES, ixgbe_adapter, num_xdp_queues, 4)                       \
	NEED(IXGBE, IXGBE_RINGS, ixgbe_adapter, xdp_ring, 0)                              \
	NEED(IXGBE, IXGBE_COUNT, ixgbe_ring, count, 2)                                    \
	NEED(IXGBE, IXGBE_USE, ixgbe_ring, next_to_use, 2)                                \
	NEED(IXGBE, IXGBE_CLEAN, ixgbe_ring, next_to_clean, 2)                            \
	NEED(IGB, IGB_QUEUES, igb_adapter, num_tx_queues, 4)                              \
	NEED(IGB, IGB_RINGS, igb_adapter, tx_ring, 0)                                     \
	NEED(IGB, IGB_COUNT, igb_ring, count, 2)                                          \
	NEED(IGB, IGB_USE, igb_ring, next_to_use, 2)                                      \
	NEED(IGB, IGB_CLEAN, igb_ring, next_to_clean, 2)                                  \
	NEED(IGC, IGC_QUEUES, igc_adapter, num_tx_queues, 4)                              \
	NEED(IGC, IGC_RINGS, igc_adapter, tx_ring, 0)                                     \
	NEED(IGC, IGC_COUNT, igc_ring, count, 2)                                          \
	NEED(IGC, IGC_USE, igc_ring, next_to_use, 2)                                      \
	NEED(IGC, IGC_CLEAN, igc_ring, next_to_clean, 2)                                  \
	NEED(I40E, I40E_VSI, i40e_netdev_priv, vsi, 8)                                    \
	NEED(I40E, I40E_QUEUES, i40e_vsi, num_queue_pairs, 2)                             \
	NEED(I40E, I40E_RINGS, i40e_vsi, xdp_rings, 8)                                    \
	NEED(I40E, I40E_COUNT, i40e_ring, count, 2)                                       \
	NEED(I40E, I40E_USE, i40e_ring, next_to_use, 2)                                   \
	NEED(I40E, I40E_CLEAN, i40e_ring, next_to_clean, 2)                               \
	NEED(ICE, ICE_VSI, ice_netdev_priv, vsi, 8)                                       \
	NEED(ICE, ICE_QUEUES, ice_vsi, num_xdp_txq, 2)                                    \
	NEED(ICE, ICE_RINGS, ice_vsi, xdp_rings, 8)                                       \
	NEED(ICE, ICE_COUNT, ice_tx_ring, count, 2)                                       \
	NEED(ICE, ICE_USE, ice_tx_ring, next_to_use, 2)                                   \
	NEED(ICE, ICE_CLEAN, ice_tx_ring, next_to_clean, 2)                               \
	NEED(MLX5, MLX5_CHANNELS, mlx5e_priv, channels.c, 8)                              \
	NEED(MLX5, MLX5_QUEUES, mlx5e_priv, channels.num, 4)                              \
	NEED(MLX5, MLX5_SQ, mlx5e_channel, xdpsq, 0)                                      \
	MAY(MLX5, MLX5_SQ_POINTER, mlx5e_channel, xdpsq, 8)                               \
	NEED(MLX5, MLX5_PRODUCED, mlx5e_xdpsq, pc, 2)                                     \
	NEED(MLX5, MLX5_CONSUMED, mlx5e_xdpsq, cc, 2)                                     \
	NEED(MLX5, MLX5_SIZE, mlx5e_xdpsq, wq.fbc.sz_m1, 4)

/* Stands for the ring of a port, sluice_port.reader. */
enum sluice_reader {
	SLUICE_READER_NONE = 0,
#define SLUICE_READER_ID(id, function, driver, modules, trust) SLUICE_READER_##id,
	SLUICE_RING_DRIVERS(SLUICE_READER_ID)
#undef SLUICE_READER_ID
	SLUICE_READERS
};

/* Owners of fields: a bit per reader. */
enum sluice_field_owner {
#define SLUICE_OWNER_BIT(id, function, driver, modules, trust) SLUICE_OWNER_##id = 1 << SLUICE_READER_##id,
	SLUICE_RING_DRIVERS(SLUICE_OWNER_BIT)
#undef SLUICE_OWNER_BIT
	SLUICE_OWNER_PTR_RING = SLUICE_OWNER_TUN | SLUICE_OWNER_VETH,
	SLUICE_OWNER_ALL = (1 << SLUICE_READERS) - 1
};

enum sluice_field {
#define SLUICE_FIELD_ID(owner, name, type, path, bytes) SLUICE_FIELD_##name,
	SLUICE_RING_FIELDS(SLUICE_FIELD_ID, SLUICE_FIELD_ID)
#undef SLUICE_FIELD_ID
	SLUICE_FIELDS
};

enum sluice_field_bytes {
#define SLUICE_FIELD_WIDTH(owner, name, type, path, bytes) SLUICE_BYTES_##name = bytes,
	SLUICE_RING_FIELDS(SLUICE_FIELD_WIDTH, SLUICE_FIELD_WIDTH)
#undef SLUICE_FIELD_WIDTH
};

#define SLUICE_NO_FIELD (~0u) /* a field that this kernel does not have */

#endif
