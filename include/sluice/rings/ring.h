/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * How full a TX ring is, from the numbers that its driver keeps: the arithmetic of positions, and the words that the
 * drivers' headers beside this one are written in. Pure: who includes it says how memory is read. The BPF programs
 * read the kernel's, tests/unit/rings_test.cpp reads structures of its own.
 *
 *   SLUICE_PEEK(address, bytes)   value of 1, 2, 4 or 8 bytes at an address of the kernel; 0 where nothing is mapped
 *   SLUICE_LAYOUT(field)          where a field lies in its structure on this kernel, or SLUICE_NO_FIELD
 */
#ifndef SLUICE_RINGS_RING_H
#define SLUICE_RINGS_RING_H

#include <linux/types.h>

#include "table.h"

#ifndef SLUICE_INLINE
#define SLUICE_INLINE static inline __attribute__((always_inline))
#endif

#define SLUICE_MAX_QUEUES 4096   /* a power of two */
#define SLUICE_NETDEV_ALIGN 32   /* of driver private data: netdev_priv() in include/linux/netdevice.h */

/* A value of the kernel's memory, and the field it lies in: both by the names of the driver's field list. */
#define SLUICE_FIELD(base, field) ((base) + SLUICE_LAYOUT(SLUICE_FIELD_##field))
#define SLUICE_GET(base, field) SLUICE_PEEK(SLUICE_FIELD(base, field), SLUICE_BYTES_##field)
#define SLUICE_POINTER(address) SLUICE_PEEK(address, 8)
#define SLUICE_HAS(field) (SLUICE_LAYOUT(SLUICE_FIELD_##field) != SLUICE_NO_FIELD)
#define SLUICE_SIZE_OF(type) SLUICE_LAYOUT(SLUICE_FIELD_##type)

/* What a driver is asked: the ring of this device that this CPU feeds. */
struct sluice_ring_site {
	__u64 device; /* address of the net_device */
	__u32 cpu;
	__u32 cpus;   /* possible CPUs */
};

struct sluice_ring_view {
	__u32 index;     /* ring of the port, 0 .. possible CPUs - 1 */
	__u32 size;      /* descriptors, 0 = could not be read */
	__u32 occupancy; /* descriptors in use */
	__u32 producer;  /* next slot to fill, modulo `modulus` */
	__u32 modulus;   /* of producer; 0: the driver shows no position, only an occupancy */
};

/* The queue that a driver picks by CPU. The mask is for the verifier, which must see that an address made of it stays
 * in range; the branch is for speed, a division costs more. */
SLUICE_INLINE __u32 sluice_queue_of(__u32 cpu, __u32 queues)
{
	__u32 queue = cpu < queues ? cpu : queues ? cpu % queues : 0;

	return queue & (SLUICE_MAX_QUEUES - 1);
}

/* Between the look at the consumer's index and that at the producer's, in this order: whoever looks may be interrupted
 * by both, and a consumer that seems to be ahead of its producer makes an empty ring look full. This way round the ring
 * only looks longer by what went through it meanwhile. */
#define SLUICE_THEN() asm volatile("" ::: "memory")

/* Two indices into a ring of `count` slots; equal means empty, so a full ring keeps one slot free (Intel drivers). */
SLUICE_INLINE void sluice_ring_indices(struct sluice_ring_view *v, __u32 count, __u32 next_to_use, __u32 next_to_clean)
{
	if (next_to_use >= count || next_to_clean >= count)
		return;
	v->size = count;
	v->modulus = count;
	v->producer = next_to_use;
	v->occupancy = next_to_use >= next_to_clean ? next_to_use - next_to_clean : next_to_use + count - next_to_clean;
}

/* Two free-running 16-bit counters (virtio split ring, mlx5). */
SLUICE_INLINE void sluice_ring_counters(struct sluice_ring_view *v, __u32 size, __u16 produced, __u16 consumed)
{
	v->size = size;
	v->modulus = 1 << 16;
	v->producer = produced;
	v->occupancy = (__u16)(produced - consumed);
}

#endif
