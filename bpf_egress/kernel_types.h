/* SPDX-License-Identifier: GPL-2.0-only
 *
 * The few fields of kernel structures that the ring readers walk. libbpf relocates them against the running kernel's
 * BTF (CO-RE), so offsets here mean nothing. Sources: include/linux/netdevice.h, include/linux/ptr_ring.h,
 * drivers/net/tun.c, drivers/net/veth.c, drivers/net/virtio_net.c, drivers/virtio/virtio_ring.c.
 */
#ifndef SLUICE_KERNEL_TYPES_H
#define SLUICE_KERNEL_TYPES_H

#include <linux/types.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct ns_common {
	unsigned int inum;
};

struct net {
	struct ns_common ns;
};

typedef struct {
	struct net *net;
} possible_net_t;

struct net_device {
	int ifindex;
	possible_net_t nd_net;
	unsigned int real_num_rx_queues;
};

struct bpf_prog;

struct xdp_txq_info {
	struct net_device *dev;
};

struct xdp_buff {
	void *data;
	void *data_end;
	struct xdp_txq_info *txq;
};

struct list_head {
	struct list_head *next;
};

struct ptr_ring {
	int producer;
	int consumer_head;
	int size;
	void **queue;
};

struct tun_file {
	struct ptr_ring tx_ring;
};

struct tun_struct {
	struct tun_file *tfiles[256];
	unsigned int numqueues;
};

struct veth_rq {
	struct ptr_ring xdp_ring;
};

struct veth_priv {
	struct net_device *peer;
	struct veth_rq *rq;
};

struct vring_used {
	__u16 flags;
	__u16 idx;
};

struct vring {
	unsigned int num;
	struct vring_used *used;
};

struct vring_virtqueue_split {
	struct vring vring;
	__u16 avail_idx_shadow;
};

struct virtqueue {
	unsigned int num_free;
	unsigned int num_max;
};

struct vring_virtqueue {
	struct virtqueue vq;
	_Bool packed_ring;
	struct vring_virtqueue_split split;
};

struct send_queue {
	struct virtqueue *vq;
};

struct virtnet_info {
	struct send_queue *sq;
	__u16 curr_queue_pairs;
	__u16 xdp_queue_pairs;
};

#pragma clang attribute pop

/* Kernel functions (kfuncs) of 6.2 and later; weak, so that the object loads where they are missing. */
extern void *bpf_cast_to_kern_ctx(void *ctx) __attribute__((section(".ksyms"))) __attribute__((weak));
extern void *bpf_rdonly_cast(const void *object, __u32 btf_id) __attribute__((section(".ksyms"))) __attribute__((weak));

/* A read-only, fault-proof typed view of any kernel address. */
#define KERNEL_VIEW(address, type_) \
	((type_ *)bpf_rdonly_cast((const void *)(address), bpf_core_type_id_kernel(type_)))

#endif
