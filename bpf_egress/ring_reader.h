/* SPDX-License-Identifier: GPL-2.0-only
 *
 * How the programs read kernel memory that no context gives them: the TX rings behind a net_device. Where fields lie
 * and which drivers are in use, the daemon says when it loads (include/sluice/rings/table.h). Nothing here writes.
 */
#ifndef SLUICE_RING_READER_H
#define SLUICE_RING_READER_H

#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include <sluice/abi.h>
#include <sluice/rings/table.h>

#include "kernel_types.h"

const volatile __u32 ring_layout[SLUICE_FIELDS] = {}; /* byte offset of each field, or SLUICE_NO_FIELD */
const volatile __u32 ring_readers = SLUICE_OWNER_ALL; /* a bit per driver in use: the others' code is removed */
const volatile __u32 read_by_cast = 1; /* 0: before 6.2, bpf_probe_read_kernel(), which lockdown may refuse */

/* A typed view is fault-proof and costs one load, but takes types of the kernel proper only, never a module's: so the
 * view is one of a word, at an address that the layout made. */
static __always_inline __u64 peek_by_cast(__u64 address, __u32 bytes)
{
	switch (bytes) {
	case 8:
		return (__u64)KERNEL_VIEW(address, struct list_head)->next;
	case 4:
		return KERNEL_VIEW(address, struct in_addr)->s_addr;
	case 2:
		return KERNEL_VIEW(address, struct sockaddr)->sa_family;
	default:
		return KERNEL_VIEW(address, struct ethhdr)->h_dest[0];
	}
}

/* A value of 1, 2, 4 or 8 bytes in kernel memory; 0 where nothing is mapped. */
static __always_inline __u64 peek(__u64 address, __u32 bytes)
{
	__u64 value = 0;

	if (read_by_cast)
		return peek_by_cast(address, bytes);
	bpf_probe_read_kernel(&value, bytes, (const void *)address); /* little endian: a short value is the low part */
	return value;
}

#define SLUICE_PEEK(address, bytes) peek(address, bytes)
#define SLUICE_LAYOUT(field) ring_layout[field]

#include <sluice/rings/drivers.h>

/* Fields of the kernel proper, which libbpf relocates itself. */
#define PEEK_FIELD(base, type_, field_) \
	peek((__u64)(base) + bpf_core_field_offset(type_, field_), sizeof(((type_ *)0)->field_))

#endif
