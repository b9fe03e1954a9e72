/* SPDX-License-Identifier: GPL-2.0-only
 *
 * The program that looks for the way "reroute": the next port of the transition's overflow list that has room takes the
 * frame. Room is what that port's own admission says, and that its flows are served better than those of the port which
 * refused. Order inside a flow: it leaves only when the frames before it have left the ring, and comes back after a pause
 * (sluice_stays_away()), or when its frames are refused there too. One port is asked per run, so that the stack suffices.
 */
#ifndef SLUICE_REROUTE_H
#define SLUICE_REROUTE_H

#include "classify.h"
#include "leaving.h"

/* MAC addresses of the next hop behind `port`: of the router that the policy names, else by the kernel's routes that leave
 * there, of whatever metric. */
static __always_inline int route_towards(const struct packet *p, const struct sluice_transition *t,
					 const struct sluice_port *port, struct route *r)
{
	struct bpf_fib_lookup fib = {};

	if (config.xconnect)
		return p->length - p->l3_offset <= port->mtu;
	fill_fib(&fib, p);
	fib.ifindex = port->ifindex;
	if (p->family == 4 && t->next_hop4)
		fib.ipv4_dst = t->next_hop4;
	if (p->family == 6 && t->next_hop6[0])
		__builtin_memcpy(fib.ipv6_dst, (const void *)t->next_hop6, 16);
	if (bpf_fib_lookup(p->ctx, &fib, sizeof(fib), BPF_FIB_LOOKUP_OUTPUT) != BPF_FIB_LKUP_RET_SUCCESS ||
	    fib.ifindex != port->ifindex)
		return 0;
	__builtin_memcpy(r->dmac, fib.dmac, 6);
	__builtin_memcpy(r->smac, fib.smac, 6);
	return 1;
}

/* The flow and the class at home. */
struct home {
	struct sluice_flow *flow;
	__u64 service; /* of each of its flows, as sluice_share.bytes_per_ns */
	__u32 is_away;
	__u32 pauses; /* 1: so long has the flow been quiet that its frames stay in order if it comes home */
};

static __always_inline __u64 service_of(const struct sluice_class *c)
{
	return c->share[c->current & 1].bytes_per_ns;
}

static __always_inline int find_home(const struct refusal *x, struct home *home)
{
	__u32 class_id = x->q.class_id, set_index = x->bucket / SLUICE_FLOW_WAYS;
	struct sluice_flow_set *set = bpf_map_lookup_elem(&sl_flows, &set_index);
	struct sluice_class *c = bpf_map_lookup_elem(&sl_classes, &class_id);

	if (!set || !c)
		return -1;
	home->flow = &set->way[x->bucket & (SLUICE_FLOW_WAYS - 1)];
	home->service = service_of(c);
	home->is_away = x->outcome >= SLUICE_SPILL;
	home->pauses = 0;
	return 0;
}

/* What is on its way to the first ring since its last bulk, and the tick of sluice_flow.away. */
#define ORDER_SLACK_NS 1000000

/* Would the frame overtake those of its flow that left for the first port? They are in its ring no longer than it takes to
 * drain. */
static __always_inline int order_holds(const struct refusal *x, const struct home *home, const struct sluice_tx *tx,
				       __u64 now)
{
	__u64 since = (__u64)sluice_away_age(home->flow->away, now) << 17;
	__u64 ring_ns = (__s64)(tx->empty_at_ns - now) > 0 ? tx->empty_at_ns - now : 0;

	return !x->ring_ns || since + ring_ns >= x->ring_ns + ORDER_SLACK_NS;
}

/* What the port of transition row `row` says. */
static __always_inline enum trial try_port(const struct packet *p, struct refusal *x, const struct home *home, __u32 row,
					   struct sluice_clock *clock)
{
	struct sluice_transition *t = bpf_map_lookup_elem(&sl_transitions, &row);
	struct sluice_request q = {.cpu = x->q.cpu, .cpus = config.cpus, .ect = x->q.ect, .l4s = x->q.l4s, .trial = 1};
	struct sluice_rows rows = {.clock = clock};
	struct sluice_answer a = {};
	struct sluice_class *c;
	struct sluice_tx *tx;
	__u32 tx_row, zero = 0;

	if (!t)
		return TRIAL_NO_WAY;
	x->detour.port = q.port = t->to;
	tx_row = q.port * config.cpus + q.cpu;
	rows.port = bpf_map_lookup_elem(&sl_ports, &q.port);
	rows.control = bpf_map_lookup_elem(&sl_control, &zero);
	tx = bpf_map_lookup_elem(&sl_tx, &tx_row);
	if (!rows.port || !rows.port->ifindex || !rows.control || !tx || !route_towards(p, t, rows.port, &x->detour.r))
		return TRIAL_NO_WAY;
	if (bpf_redirect_map(&sl_devmap, q.port, 0) != XDP_REDIRECT)
		return TRIAL_NO_WAY; /* out of service */
	q.class_id = classify(t, row, p);
	c = bpf_map_lookup_elem(&sl_classes, &q.class_id);
	/* Better by an eighth, lest flows swing to and fro. */
	if (!c || (!home->is_away && (service_of(c) < home->service + home->service / 8 ||
				      !order_holds(x, home, tx, clock->now_ns))))
		return TRIAL_NO_WAY;
	if (home->pauses && home->service >= service_of(c))
		return TRIAL_NO_WAY; /* home has room again */
	if (x->q.shadow)
		return TRIAL_ADMITTED;
	if (home->is_away && home->service > service_of(c) + service_of(c) / 8)
		home->flow->away = 0; /* until the frame has been admitted: home is better off */
	set_flow(t, p, &q);
	q.shadow = t->shadow;
	x->detour.wire = q.wire = sluice_wire_bytes(rows.port, p->length + growth(p));
	if (sluice_admit_rows(&q, &rows, &a))
		return TRIAL_NO_WAY;
	x->detour.outcome = a.outcome;
	x->detour.remark = a.remark;
	return a.outcome <= SLUICE_MARK ? TRIAL_ADMITTED : TRIAL_REFUSED;
}

/* Transition row of the port to ask: the next of the list; for a flow that is away only the one where it is. -1 = none. */
static __always_inline __s64 next_row(struct refusal *x, struct home *home, __u64 now)
{
	const struct sluice_transition *t = bpf_map_lookup_elem(&sl_transitions, &x->row);
	__u32 where = home->is_away ? SLUICE_AWAY_WHERE(home->flow->away) : x->detour.where + 1;

	if (!t || !where || where > t->overflow_count || where > SLUICE_MAX_OVERFLOW)
		return -1;
	x->detour.where = where;
	asm volatile("" : "+r"(where)); /* the verifier of 6.1 loses the bound of a copy */
	home->pauses = home->is_away && sluice_away_age(home->flow->away, now) >= t->flowlet;
	return x->row / SLUICE_MAX_TRANSITIONS * SLUICE_MAX_TRANSITIONS + (t->overflow[(where - 1) & (SLUICE_MAX_OVERFLOW - 1)] & (SLUICE_MAX_TRANSITIONS - 1));
}

/* Fills in the detour and goes back to ways_out.h. */
static __always_inline int find_detour(struct xdp_md *ctx)
{
	__u32 zero = 0, cpu = bpf_get_smp_processor_id();
	struct refusal *x = bpf_map_lookup_elem(&sl_refusal, &zero);
	struct sluice_clock *clock = bpf_map_lookup_elem(&sl_clocks, &cpu);
	struct packet p = {};
	struct home home;
	__s64 row;

	if (!x || !clock || find_home(x, &home) || parse(ctx, &p) != SLUICE_FORWARD ||
	    (!config.xconnect && !p.family))
		return XDP_PASS; /* cannot happen: the first program has just looked all of it up */
	row = next_row(x, &home, clock->now_ns);
	x->trial = row < 0 ? TRIAL_NO_WAY : try_port(&p, x, &home, row, clock);
	if (x->trial != TRIAL_ADMITTED && row >= 0 && !home.is_away)
		bpf_tail_call(ctx, &sl_ways, SLUICE_DETOUR);
	bpf_tail_call(ctx, &sl_ways, SLUICE_WAYS_OUT);
	return XDP_DROP; /* cannot happen: both programs are there, or none */
}

#endif
