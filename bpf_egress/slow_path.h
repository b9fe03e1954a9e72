/* SPDX-License-Identifier: GPL-2.0-only
 *
 * tc egress of a port with `spill`: frames that the kernel's stack sends there, spilled ones among them, on their way
 * into the qdisc. Counts them; decides nothing. They meet ours in the TX ring, where they carry no stamp: their mean
 * size tells the controller what they take of it.
 */
#ifndef SLUICE_SLOW_PATH_H
#define SLUICE_SLOW_PATH_H

#include <linux/pkt_cls.h>

#include <sluice/maps.bpf.h>

/* A super frame counts as the frames that it will be cut into. */
static __always_inline int count_slow_path(struct __sk_buff *skb, __u32 cpus)
{
	__u32 ifindex = skb->ifindex, cpu = bpf_get_smp_processor_id(), frames = skb->gso_segs, row;
	__u32 *port_id = bpf_map_lookup_elem(&sl_port_of, &ifindex);
	struct sluice_port *port;
	struct sluice_tx *tx;

	if (!port_id || skb->tc_index == SLUICE_TC_INDEX) /* admitted by the tc program of a fast port */
		return TC_ACT_UNSPEC;
	row = *port_id * cpus + cpu;
	port = bpf_map_lookup_elem(&sl_ports, port_id);
	tx = bpf_map_lookup_elem(&sl_tx, &row);
	if (!port || !tx)
		return TC_ACT_UNSPEC;
	if (!frames)
		frames = 1;
	tx->slow_packets += frames;
	tx->slow_bytes += skb->wire_len + (__u64)frames * port->overhead;
	return TC_ACT_UNSPEC; /* whoever comes next decides */
}

#endif
