/* SPDX-License-Identifier: GPL-2.0-only
 *
 * The few fields of structures of the kernel proper that the hooks use. libbpf relocates them against the running
 * kernel's BTF (CO-RE), so offsets here mean nothing. Source: include/linux/netdevice.h, include/net/xdp.h. What lies
 * in drivers: include/sluice/rings/table.h.
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

/* Words: a load through a view of one of these is a load of 8, 4, 2, 1 bytes. */
struct in_addr {
	__u32 s_addr;
};

struct sockaddr {
	unsigned short sa_family;
};

struct ethhdr {
	unsigned char h_dest[6];
};

#pragma clang attribute pop

/* Kernel functions (kfuncs) of 6.2 and later; weak, so that the object loads where they are missing. */
extern void *bpf_cast_to_kern_ctx(void *ctx) __attribute__((section(".ksyms"))) __attribute__((weak));
extern void *bpf_rdonly_cast(const void *object, __u32 btf_id) __attribute__((section(".ksyms"))) __attribute__((weak));

/* A read-only, fault-proof typed view of any kernel address. */
#define KERNEL_VIEW(address, type_) \
	((type_ *)bpf_rdonly_cast((const void *)(address), bpf_core_type_id_kernel(type_)))

#endif
