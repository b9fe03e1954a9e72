/* SPDX-License-Identifier: GPL-2.0-only
 *
 * What becomes of a frame that must not join the queue: the first possible way of its class's list, else the drop that
 * admission decided. In shadow mode the way is counted and the frame joins.
 */
#ifndef SLUICE_WAYS_OUT_H
#define SLUICE_WAYS_OUT_H

#include "bounce.h"
#include "leaving.h"
#include "report.h"
#include "trim.h"

/* Bit 1 << way for each that this frame may take. Of reroute the program in reroute.h has to tell. */
static __always_inline __u32 possible_ways(const struct leaving *l)
{
	__u32 ways = config.ways & 1 << SLUICE_WAY_SPILL;

	if (l->x->trial == TRIAL_NONE || l->x->trial == TRIAL_ADMITTED)
		ways |= config.ways & 1 << SLUICE_WAY_REROUTE;
	if (config.ways & 1 << SLUICE_WAY_TRIM && trimmed_length(&l->p, l->a.klass) &&
	    reserve_has_room(&l->x->q, &l->a, l->rows.port))
		ways |= 1 << SLUICE_WAY_TRIM;
	if (config.ways & 1 << SLUICE_WAY_BOUNCE && may_bounce(&l->p, l->rows.clock))
		ways |= 1 << SLUICE_WAY_BOUNCE;
	return ways;
}

static __always_inline __u32 first_of(__u32 list, __u32 possible)
{
	__u32 i, way;

#pragma unroll
	for (i = 1; i < SLUICE_WAYS; i++, list >>= SLUICE_WAY_BITS) {
		way = list & ((1 << SLUICE_WAY_BITS) - 1);
		if (way && possible & 1 << way)
			return way;
	}
	return SLUICE_WAY_DROP;
}

/* Charged with what is left of it. */
static __always_inline int take_trim(struct leaving *l)
{
	__u32 length = trimmed_length(&l->p, l->a.klass);
	__u32 wire = sluice_wire_bytes(l->rows.port, length + growth(&l->p));
	__u32 dscp = l->a.klass->trim_dscp ? l->a.klass->trim_dscp : l->x->remark;
	struct sluice_flow *f = l->a.flow;

	if (!config.xconnect)
		hop(&l->p, &l->x->r);
	if (dscp)
		set_dscp(&l->p, dscp);
	if (cut(&l->p, length) || retag(&l->p))
		return XDP_DROP; /* the kernel shortens any frame by this much */
	sluice_join(f, l->a.count, l->a.vt + sluice_lag(f->finish, l->a.vt), wire, l->a.bucket);
	note_leaving(l, l->a.tx, wire);
	return bpf_redirect_map(&sl_devmap, l->x->q.port, 0);
}

/* The port where the flow is cannot be reached any more. */
static __always_inline int come_home(struct leaving *l)
{
	struct sluice_flow *f = l->a.flow;

	f->away = 0;
	sluice_join(f, l->a.count, l->a.vt + sluice_lag(f->finish, l->a.vt), l->x->q.wire, l->a.bucket);
	l->a.count->outcome[SLUICE_FORWARD]++;
	count_for_port(l, SLUICE_FORWARD);
	return send_home(l);
}

static __always_inline int take_detour(struct leaving *l, const struct detour *d)
{
	__u32 row = d->port * config.cpus + l->x->q.cpu;
	struct sluice_tx *tx = bpf_map_lookup_elem(&sl_tx, &row);

	l->a.flow->away = SLUICE_AWAY(d->where, l->rows.clock->now_ns);
	if (!config.xconnect)
		hop(&l->p, &d->r);
	if (d->outcome == SLUICE_MARK)
		set_ce(&l->p);
	if (d->remark)
		set_dscp(&l->p, d->remark);
	if (tx)
		note_leaving(l, tx, d->wire);
	l->p.exit = (struct vlan_tags){};
	return retag(&l->p) ? XDP_DROP : bpf_redirect_map(&sl_devmap, d->port, 0);
}

/* Of a frame of a flow that is away; SLUICE_WAYS: it comes home. */
static __always_inline __u32 way_of_away(struct leaving *l)
{
	if (l->x->outcome == SLUICE_SPILL)
		return config.ways & 1 << SLUICE_WAY_SPILL ? SLUICE_WAY_SPILL : SLUICE_WAYS;
	if (l->x->trial == TRIAL_NO_WAY || !(config.ways & 1 << SLUICE_WAY_REROUTE))
		return SLUICE_WAYS;
	if (l->x->trial != TRIAL_REFUSED)
		return SLUICE_WAY_REROUTE;
	l->a.outcome = l->x->detour.outcome;
	return SLUICE_WAY_DROP;
}

static __always_inline int go(struct leaving *l, __u32 way)
{
	switch (way) {
	case SLUICE_WAY_SPILL:
		sluice_spill(&l->x->q, &l->a, l->rows.clock->now_ns);
		return XDP_PASS;
	case SLUICE_WAY_REROUTE:
		return take_detour(l, &l->x->detour);
	case SLUICE_WAY_TRIM:
		return take_trim(l);
	case SLUICE_WAY_BOUNCE:
		return take_bounce(&l->p, &l->x->q, &l->a, l->rows.clock);
	default:
		return XDP_DROP;
	}
}

static __always_inline int ways_out(struct xdp_md *ctx)
{
	struct leaving l = {};
	__u32 is_away, way;

	if (recall(ctx, &l))
		return XDP_PASS;
	is_away = l.a.outcome >= SLUICE_SPILL;
	way = is_away ? way_of_away(&l) : first_of(l.a.klass->ways, possible_ways(&l));
	if (way == SLUICE_WAY_REROUTE && l.x->trial == TRIAL_NONE) {
		bpf_tail_call(ctx, &sl_ways, SLUICE_DETOUR);
		count_for_port(&l, SLUICE_PASS_BYPASS); /* cannot happen: both programs are there or none */
		return XDP_PASS;
	}
	if (way == SLUICE_WAYS)
		return come_home(&l);
	settle(&l, way);
	if (l.a.outcome == SLUICE_FORWARD) /* shadow mode */
		return send_home(&l);
	if (!is_away || way == SLUICE_WAY_DROP)
		report(&l.p, &l.x->q, &l.a, l.rows.clock, l.rows.control);
	return go(&l, way);
}

#endif
