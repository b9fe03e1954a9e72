/* SPDX-License-Identifier: GPL-2.0-only
 *
 * The maps that the programs and the controller share. Sizes marked "set at load" depend on the policy and the
 * machine; the controller sets them before it loads. Arrays are mmap-able so that the controller reads and writes
 * them without system calls. Arrays of counters have one more row per class or port behind those that the programs write:
 * what earlier generations and instances counted; the controller's.
 */
#ifndef SLUICE_MAPS_BPF_H
#define SLUICE_MAPS_BPF_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"

#define SLUICE_ARRAY(name_, type_, entries_)                                                                    \
	struct {                                                                                                \
		__uint(type, BPF_MAP_TYPE_ARRAY);                                                               \
		__uint(map_flags, BPF_F_MMAPABLE);                                                              \
		__uint(max_entries, entries_);                                                                  \
		__type(key, __u32);                                                                             \
		__type(value, type_);                                                                           \
	} name_ SEC(".maps")

SLUICE_ARRAY(sl_control, struct sluice_control, 1);
SLUICE_ARRAY(sl_ports, struct sluice_port, SLUICE_MAX_PORTS);
SLUICE_ARRAY(sl_transitions, struct sluice_transition, 2 * SLUICE_MAX_TRANSITIONS); /* [generation][transition] */
SLUICE_ARRAY(sl_classes, struct sluice_class, 2);            /* [generation][class], set at load */
SLUICE_ARRAY(sl_flows, struct sluice_flow_set, SLUICE_LEAST_FLOWS / SLUICE_FLOW_WAYS); /* set at load */
SLUICE_ARRAY(sl_flow_info, struct sluice_flow_info, SLUICE_LEAST_FLOWS);               /* set at load */
/* Bitmap of buckets that became active since the controller last looked. Ingress sets, the controller clears. */
SLUICE_ARRAY(sl_touched, __u64, SLUICE_LEAST_FLOWS / 64);    /* set at load */
SLUICE_ARRAY(sl_clocks, struct sluice_clock, 1);             /* [cpu], set at load */
SLUICE_ARRAY(sl_class_counts, struct sluice_class_count, 1); /* [generation][class][cpu], set at load */
SLUICE_ARRAY(sl_delays, struct sluice_delays, 2);            /* [generation][class], set at load */
SLUICE_ARRAY(sl_port_counts, struct sluice_port_count, 1);   /* [port][cpu], set at load */
SLUICE_ARRAY(sl_tx, struct sluice_tx, 1);                    /* [port][cpu], set at load */
SLUICE_ARRAY(sl_rings, struct sluice_ring, 1);               /* [port][ring], set at load */
SLUICE_ARRAY(sl_stamps, struct sluice_stamps, 1);            /* [port][ring], set at load */

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 21);
	__type(key, struct sluice_prefix_key);
	__type(value, struct sluice_prefix);
} sl_prefixes SEC(".maps");

/* Egress devices by port index. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, SLUICE_MAX_PORTS);
	__type(key, __u32);
	__type(value, struct bpf_devmap_val);
} sl_devmap SEC(".maps");

/* Port index by ifindex, for the tracepoints. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4 * SLUICE_MAX_PORTS);
	__type(key, __u32);
	__type(value, __u32);
} sl_port_of SEC(".maps");

/* The kernel's VLAN interfaces on the ports: from what a frame came with to the interface, and from the interface, which
 * has no tags of its own, to what a frame must leave with. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 2 * SLUICE_MAX_VLANS);
	__type(key, struct sluice_place);
	__type(value, struct sluice_place);
} sl_vlans SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} sl_events SEC(".maps");

#endif
