/* SPDX-License-Identifier: GPL-2.0-only
 *
 * Where each driver keeps the TX ring that XDP frames of a given CPU go to, and how full it is. One function per
 * driver and one row in read_ring(); nothing here writes.
 */
#ifndef SLUICE_RING_READER_H
#define SLUICE_RING_READER_H

#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include <sluice/abi.h>

#include "kernel_types.h"

#define NETDEV_ALIGN 32
#define MAX_QUEUES 4096 /* a power of two */

struct ring_view {
	__u32 index;     /* ring of the port, 0 .. possible CPUs - 1 */
	__u32 size;      /* descriptors, 0 = could not be read */
	__u32 occupancy; /* descriptors in use */
	__u32 producer;  /* next slot to fill, modulo `modulus` */
	__u32 modulus;   /* of producer; 0: the driver shows no position, only an occupancy */
};

/* The queue that a driver picks by CPU. The bound is for the verifier, which must see that an address made of it stays
 * in range; the branch is for speed, a division costs more. */
static __always_inline __u32 queue_of(__u32 cpu, __u32 queues)
{
	__u32 queue = cpu < queues ? cpu : cpu % queues;

	return queue & (MAX_QUEUES - 1);
}

/* Driver private data lies behind the net_device, aligned (netdev_priv() in include/linux/netdevice.h). */
static __always_inline const void *private_data(const struct net_device *dev)
{
	__u64 size = bpf_core_type_size(struct net_device);

	return (const void *)dev + ((size + NETDEV_ALIGN - 1) & ~(__u64)(NETDEV_ALIGN - 1));
}

/* The pointer stored at a kernel address, for array elements: the verifier allows no variable index on typed views. */
static __always_inline __u64 load_pointer(__u64 address)
{
	return (__u64)KERNEL_VIEW(address, struct list_head)->next;
}

/* producer == consumer_head means empty, unless the consumer has not yet cleared what it took (ptr_ring clears in
 * batches) and the producer has caught up: then the slot it would fill next still holds a pointer. */
static __always_inline void view_ptr_ring(const struct ptr_ring *r, struct ring_view *v)
{
	__u32 producer = r->producer, consumer = r->consumer_head, size = r->size;

	v->size = size;
	v->modulus = size;
	v->producer = producer;
	v->occupancy = producer >= consumer ? producer - consumer : producer + size - consumer;
	if (v->occupancy || producer >= size)
		return;
	if (load_pointer((__u64)r->queue + 8ull * producer))
		v->occupancy = size;
}

/* tun_xdp_xmit() picks the queue by CPU. The reader of the TAP consumes tx_ring. */
static __always_inline void view_tun(const struct net_device *dev, __u32 cpu, struct ring_view *v)
{
	const struct tun_struct *tun = KERNEL_VIEW(private_data(dev), struct tun_struct);
	__u32 queues = tun->numqueues;
	const struct tun_file *file;

	if (!queues || queues > 256)
		return;
	v->index = queue_of(cpu, queues);
	file = KERNEL_VIEW(load_pointer((__u64)tun + bpf_core_field_offset(struct tun_struct, tfiles) + 8ull * v->index),
			   struct tun_file);
	view_ptr_ring(&file->tx_ring, v);
}

/* veth_xdp_xmit() fills the ring of the peer's receive queue, picked by CPU; the peer's NAPI drains it. */
static __always_inline void view_veth(const struct net_device *dev, __u32 cpu, struct ring_view *v)
{
	const struct veth_priv *veth = KERNEL_VIEW(private_data(dev), struct veth_priv), *peer_veth;
	const struct net_device *peer = KERNEL_VIEW(veth->peer, struct net_device);
	__u32 queues = peer->real_num_rx_queues;
	const struct veth_rq *rq;

	if (!queues)
		return;
	v->index = queue_of(cpu, queues);
	peer_veth = KERNEL_VIEW(private_data(peer), struct veth_priv);
	rq = KERNEL_VIEW((__u64)peer_veth->rq + (__u64)v->index * bpf_core_type_size(struct veth_rq), struct veth_rq);
	view_ptr_ring(&rq->xdp_ring, v);
}

/* virtnet_xdp_get_sq(): a queue of its own per CPU where there are enough, else shared. On a split ring the device's
 * own used index is the truth; on a packed one only the descriptors that the driver has reaped count as free. */
static __always_inline void view_virtio(const struct net_device *dev, __u32 cpu, __u32 cpus, struct ring_view *v)
{
	const struct virtnet_info *info = KERNEL_VIEW(private_data(dev), struct virtnet_info);
	__u32 pairs = info->curr_queue_pairs, own = info->xdp_queue_pairs, queue;
	const struct vring_virtqueue *ring;
	const struct vring_used *used;
	const struct send_queue *sq;

	if (!pairs)
		return;
	v->index = queue_of(cpu, pairs > cpus ? cpus : pairs);
	queue = (pairs > cpus ? pairs - own + cpu : v->index) & (MAX_QUEUES - 1);
	sq = KERNEL_VIEW((__u64)info->sq + (__u64)queue * bpf_core_type_size(struct send_queue), struct send_queue);
	ring = KERNEL_VIEW(sq->vq, struct vring_virtqueue);
	v->size = ring->vq.num_max;
	v->occupancy = v->size - ring->vq.num_free;
	if (ring->packed_ring)
		return;
	used = KERNEL_VIEW(ring->split.vring.used, struct vring_used);
	v->size = ring->split.vring.num;
	v->producer = ring->split.avail_idx_shadow;
	v->modulus = 1 << 16;
	v->occupancy = (__u16)(v->producer - used->idx);
}

/* Fills `v` for the ring that `cpu` feeds. Returns 0, or -1 when it could not be read. */
static __always_inline int read_ring(__u32 reader, const struct net_device *dev, __u32 cpu, __u32 cpus,
				     struct ring_view *v)
{
	switch (reader) {
	case SLUICE_READER_TUN:
		view_tun(dev, cpu, v);
		break;
	case SLUICE_READER_VETH:
		view_veth(dev, cpu, v);
		break;
	case SLUICE_READER_VIRTIO:
		view_virtio(dev, cpu, cpus, v);
		break;
	}
	return v->size && v->occupancy <= v->size ? 0 : -1;
}

#endif
