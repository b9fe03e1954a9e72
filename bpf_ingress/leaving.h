/* SPDX-License-Identifier: GPL-2.0-only
 *
 * A frame that must not join the queue, as the program that finds another way for it sees it: what the first program had
 * in hand, looked up and parsed again.
 */
#ifndef SLUICE_LEAVING_H
#define SLUICE_LEAVING_H

#include "act.h"
#include "refusal.h"

/* All that is known of the frame. */
struct leaving {
	struct packet p;
	struct sluice_answer a;
	struct sluice_rows rows;
	const struct sluice_transition *t;
	struct refusal *x;
};

/* Looks up again what the first program had in hand; so it cannot fail. */
static __always_inline int recall(struct xdp_md *ctx, struct leaving *l)
{
	__u32 zero = 0, class_id, class_row, set_index, cpu, port, row, tx_row;
	struct refusal *x = bpf_map_lookup_elem(&sl_refusal, &zero);
	struct sluice_flow_set *set;

	if (!x)
		return -1;
	class_id = x->q.class_id;
	class_row = class_id * config.cpus + x->q.cpu;
	set_index = x->bucket / SLUICE_FLOW_WAYS;
	cpu = x->q.cpu;
	port = x->q.port;
	row = x->row;
	tx_row = port * config.cpus + cpu;
	set = bpf_map_lookup_elem(&sl_flows, &set_index);
	l->x = x;
	l->t = bpf_map_lookup_elem(&sl_transitions, &row);
	l->rows.control = bpf_map_lookup_elem(&sl_control, &zero);
	l->rows.clock = bpf_map_lookup_elem(&sl_clocks, &cpu);
	l->rows.port = bpf_map_lookup_elem(&sl_ports, &port);
	l->a.klass = bpf_map_lookup_elem(&sl_classes, &class_id);
	l->a.count = bpf_map_lookup_elem(&sl_class_counts, &class_row);
	l->a.tx = bpf_map_lookup_elem(&sl_tx, &tx_row);
	if (!set || !l->t || !l->rows.control || !l->rows.clock || !l->rows.port)
		return -1;
	if (!l->a.klass || !l->a.count || !l->a.tx)
		return -1;
	l->a.flow = &set->way[x->bucket & (SLUICE_FLOW_WAYS - 1)];
	l->a.outcome = x->outcome;
	l->a.bucket = x->bucket;
	l->a.delay_ns = x->delay_ns;
	l->a.ring_ns = x->ring_ns;
	l->a.vt = x->vt;
	if (parse(ctx, &l->p) != SLUICE_FORWARD)
		return -1;
	l->p.exit = x->exit;
	return config.xconnect || l->p.family ? 0 : -1;
}

static __always_inline struct sluice_port_count *port_count(const struct leaving *l)
{
	__u32 row = config.port * config.cpus + l->x->q.cpu;

	return bpf_map_lookup_elem(&sl_port_counts, &row);
}

/* A frame of `wire` bytes is redirected. */
static __always_inline void note_leaving(const struct leaving *l, struct sluice_tx *tx, __u32 wire)
{
	const struct sluice_port_count *count = port_count(l);

	sluice_note_wire(tx, wire);
	if (count && count->generic)
		sluice_note_gone(tx, wire);
}

/* One outcome for each frame that the port received: a frame that left the first program is counted here. */
static __always_inline void count_for_port(const struct leaving *l, __u32 outcome)
{
	struct sluice_port_count *count = port_count(l);

	if (count && outcome < SLUICE_OUTCOMES)
		count->outcome[outcome]++;
}

/* Counts the frame for good. */
static __always_inline void settle(struct leaving *l, __u32 way)
{
	sluice_settle(&l->x->q, &l->a, way == SLUICE_WAY_DROP ? l->a.outcome : SLUICE_WAY_OUTCOME(way));
	count_for_port(l, l->a.outcome);
}

/* Redirects by the port of the transition, as if nothing had been. */
static __always_inline int send_home(struct leaving *l)
{
	if (!config.xconnect)
		hop(&l->p, &l->x->r);
	if (l->x->remark)
		set_dscp(&l->p, l->x->remark);
	note_leaving(l, l->a.tx, l->x->q.wire);
	return retag(&l->p) ? XDP_DROP : bpf_redirect_map(&sl_devmap, l->x->q.port, 0);
}

#endif
