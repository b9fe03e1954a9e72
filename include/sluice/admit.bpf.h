/* SPDX-License-Identifier: GPL-2.0-only
 *
 * The admission decision: may this frame join the TX ring of that port now? Decides by the phantom delay of the
 * frame's flow and by the guard of the ring; knows nothing of headers or routes. Our ingress program includes it,
 * and so can anybody's XDP program that redirects through sl_devmap.
 */
#ifndef SLUICE_ADMIT_BPF_H
#define SLUICE_ADMIT_BPF_H

#include "codel.h"
#include "histogram.h"
#include "maps.bpf.h"
#include "pi2.h"

/* A clock read costs more than the rest of the decision, so frames that come closer than this share one... */
#define SLUICE_CLOCK_SPACING_NS 1000
/* ... in groups of this many; the egress hook refreshes it once per bulk. */
#define SLUICE_CLOCK_SHARE 16

/* What is asked. */
struct sluice_request {
	__u32 port;      /* egress port index */
	__u32 class_id;
	__u32 hash;      /* of the flow, see sluice_hash_final() */
	__u32 wire;      /* bytes on the wire */
	__u32 cpu, cpus;
	__u32 ect;       /* ECN-capable packet: CE can be set */
	__u32 l4s;       /* ECT(1) packet */
	__u32 shadow;    /* compute, count as would_*, admit */
	__u32 host;      /* sluice_flow.host, 0 where the policy does not isolate hosts */
	__u32 ways;      /* sluice_ingress_config.ways: the caller takes them, and settles what is left open */
	__u32 trial;     /* another port refused it: a refusal counts there, an admission as taken_over */
};

/* What is answered, with the figures that led to it. */
struct sluice_answer {
	__u32 outcome;   /* SLUICE_FORWARD, SLUICE_MARK or SLUICE_DROP_*; SLUICE_SPILL, SLUICE_REROUTE: the flow is away */
	__u32 bucket;
	__u64 delay_ns;  /* phantom delay, computed only for frames that are not simply admitted */
	__u64 ring_ns;   /* predicted delay in the TX ring */
	struct sluice_tx *tx; /* for sluice_note_redirect() */
	__u32 fresh;     /* 1: the bucket was taken for this flow just now; its sluice_flow_info is stale */
	__u32 remark;    /* sluice_class.remark */
	__u32 open;      /* 1: refused, but neither counted nor charged, as the request and the class have `ways` */
	/* ... for sluice_settle(): */
	struct sluice_class *klass;
	struct sluice_class_count *count;
	struct sluice_flow *flow;
	__u64 vt;        /* virtual time of the class */
};

SLUICE_INLINE __u64 sluice_now(struct sluice_clock *c)
{
	__u64 jiffies = bpf_jiffies64();
	__u64 now;

	if (c->left && c->jiffies == jiffies) {
		c->left--;
		return c->now_ns;
	}
	now = bpf_ktime_get_ns();
	c->left = now - c->now_ns < SLUICE_CLOCK_SHARE * SLUICE_CLOCK_SPACING_NS ? SLUICE_CLOCK_SHARE - 1 : 0;
	c->jiffies = jiffies;
	c->now_ns = now;
	return now;
}

/* Seeded multiply-and-fold: two rounds spread any one-bit difference over the word. */
SLUICE_INLINE __u64 sluice_hash_mix(__u64 h, __u64 v)
{
	h = (h ^ v) * 0x9e3779b97f4a7c15ull;
	return h ^ (h >> 29);
}

SLUICE_INLINE __u32 sluice_hash_final(__u64 h)
{
	h *= 0xbf58476d1ce4e5b9ull;
	return (__u32)(h >> 32) | 1; /* 0 means: free bucket */
}

SLUICE_INLINE void sluice_take_bucket(struct sluice_flow *f, const struct sluice_request *q, __u64 vt)
{
	f->finish = vt;
	__builtin_memset(&f->pi2, 0, sizeof(f->pi2));
	f->tag = q->hash;
	f->class_id = q->class_id;
	f->pressure = 0;
	f->bytes = 0;
	f->packets = 0;
	f->refused = 0;
	f->host = q->host;
	f->scale = 1;
	f->away = 0;
}

/* The bucket of a flow: its own, else a free or forgotten one, else one that it has to share. The search starts at a
 * way that the hash picks: were it always the first, the flows in use would crowd into a quarter of the cache. */
SLUICE_INLINE struct sluice_flow *sluice_find_flow(const struct sluice_request *q, __u32 mask, __u64 vt,
						   struct sluice_answer *a)
{
	__u32 set_index = (q->hash >> 1) & mask, first = q->hash >> 30;
	struct sluice_flow_set *set = bpf_map_lookup_elem(&sl_flows, &set_index);
	struct sluice_flow *f = 0, *spare = 0;
	__u32 i, way, spare_way = 0;

	if (!set)
		return 0;
#pragma unroll
	for (i = 0; i < SLUICE_FLOW_WAYS; i++) {
		way = (first + i) & (SLUICE_FLOW_WAYS - 1);
		f = &set->way[way];
		if (f->tag == q->hash && f->class_id == q->class_id) {
			a->bucket = set_index * SLUICE_FLOW_WAYS + way;
			return f;
		}
		if (!f->listed && !spare) {
			spare = f;
			spare_way = way;
		}
	}
	if (!spare) {
		/* All in use: share. The two flows then count as one, which is what any hashed queue does. */
		a->bucket = set_index * SLUICE_FLOW_WAYS + first;
		return &set->way[first & (SLUICE_FLOW_WAYS - 1)];
	}
	sluice_take_bucket(spare, q, vt);
	a->bucket = set_index * SLUICE_FLOW_WAYS + spare_way;
	a->fresh = 1;
	return spare;
}

/* Tell the controller that the bucket is in use; it takes the mark away when the flow has gone idle. */
SLUICE_INLINE void sluice_list_flow(struct sluice_flow *f, __u32 bucket)
{
	__u32 index = bucket / 64;
	__u64 *word = bpf_map_lookup_elem(&sl_touched, &index);

	f->listed = 1;
	if (word)
		__sync_fetch_and_or(word, 1ull << (bucket & 63));
}

/* The controller is late, or gone: go on from here with the rates it left, so that virtual time never stands still.
 * Whoever wins the exchange does it. */
SLUICE_INLINE void sluice_carry_on(struct sluice_share *s, __u64 vt, __u64 now)
{
	__u64 t0 = s->t0_ns;

	if (__sync_val_compare_and_swap(&s->t0_ns, t0, now) == t0)
		s->vt0 = vt;
}

/* The ring's own guard: independent of the controller, blind to flows except that idle ones go last. What it wants:
 * nothing, a signal to this flow, or this frame out of the way. */
enum sluice_guard_answer { SLUICE_GUARD_QUIET = 0, SLUICE_GUARD_SIGNAL, SLUICE_GUARD_REFUSE };

SLUICE_INLINE enum sluice_guard_answer sluice_guard(struct sluice_tx *tx, const struct sluice_port *port, __u64 lag, __u64 ring_ns)
{
	if (tx->signals && !ring_ns)
		tx->signals = 0; /* the ring has drained since: old signals are nobody's */
	if (tx->signals && (lag || tx->signals > 1)) {
		tx->signals--;
		return SLUICE_GUARD_SIGNAL;
	}
	return ring_ns > port->guard_limit_ns ? SLUICE_GUARD_REFUSE : SLUICE_GUARD_QUIET;
}

/* CoDel's answer, 1 = signal. Below target, the common case, it costs two comparisons. */
SLUICE_INLINE int sluice_ask_codel(struct sluice_flow *f, const struct sluice_class *c, const struct sluice_share *s,
				   __u32 l4s, __u64 lag, __u64 now, __u64 *delay_ns)
{
	int signal;

	if (lag <= s->target_bytes) {
		if (f->codel.first_above_ns) {
			f->codel.first_above_ns = 0;
			f->codel.dropping = 0;
		}
		return l4s && lag > s->step_bytes;
	}
	*delay_ns = sluice_delay_ns(s, lag);
	signal = sluice_codel_signal(&f->codel, &c->codel, *delay_ns, now);
	return signal | l4s;
}

/* PI2's: it signals below target too, but never a flow that hardly waits. */
SLUICE_INLINE int sluice_ask_pi2(struct sluice_flow *f, const struct sluice_class *c, const struct sluice_share *s,
				 __u32 l4s, __u64 lag, __u64 now, __u64 *delay_ns)
{
	if (!lag && !f->pi2.probability)
		return 0;
	*delay_ns = sluice_delay_ns(s, lag);
	sluice_pi2_update(&f->pi2, &c->pi2, *delay_ns, now);
	if (l4s && lag > s->step_bytes)
		return 1;
	return lag > s->target_bytes / 2 &&
	       sluice_pi2_signal(&f->pi2, l4s, (__u64)bpf_get_prandom_u32() << 32 | bpf_get_prandom_u32());
}

/* So many flows that one frame of each is more than the class may have waiting: a flood of forged addresses looks like
 * that. No flow's own limit helps then, so flows that are not waiting yet stay out. Only while somebody keeps the flag
 * up to date. */
SLUICE_INLINE int sluice_crowded(const struct sluice_class *c, const struct sluice_flow *f,
				 const struct sluice_control *control, __u64 now)
{
	return c->crowded && !f->listed && (__s64)(now - control->heartbeat_ns) < (__s64)SLUICE_HORIZON_NS;
}

/* What a flow may have waiting for a moment, where the class has more room than `limit`. */
SLUICE_INLINE __u64 sluice_room(const struct sluice_flow *f, const struct sluice_class *c, __u64 limit, __u32 mark)
{
	__u64 most = limit * SLUICE_YOUNG_ROOM;
	int young = limit >= SLUICE_YOUNG_LEAST && f->bytes < limit * SLUICE_YOUNG_LIMITS;

	if (mark || (young && most > c->ect_limit_bytes))
		return c->ect_limit_bytes; /* CE before a drop */
	return young ? most : limit;
}

/* The law of a flow, and what becomes of its signal. */
SLUICE_INLINE __u32 sluice_flow_law(struct sluice_flow *f, const struct sluice_class *c, const struct sluice_share *s,
				    const struct sluice_request *q, __u64 lag, __u64 now, __u64 *delay_ns)
{
	__u32 mark = q->ect && c->mark, l4s = q->l4s && c->mark;
	__u64 limit = s->limit_bytes;
	int signal;

	if (c->law == SLUICE_LAW_PI2)
		signal = sluice_ask_pi2(f, c, s, l4s, lag, now, delay_ns);
	else
		signal = sluice_ask_codel(f, c, s, l4s, lag, now, delay_ns);
	if (lag > s->short_limit_bytes) {
		if (f->pressure >= SLUICE_UNRESPONSIVE)
			limit = s->short_limit_bytes;
		else if (c->ect_limit_bytes > limit)
			limit = sluice_room(f, c, limit, mark);
		if (lag > limit) {
			f->pressure += f->pressure < 254 ? 2 : 0;
			return SLUICE_DROP_LIMIT;
		}
		signal |= mark && lag > s->limit_bytes;
	}
	if (!signal)
		return SLUICE_FORWARD;
	return mark ? SLUICE_MARK : SLUICE_DROP_CODEL;
}

SLUICE_INLINE __u32 sluice_would(__u32 outcome)
{
	switch (outcome) {
	case SLUICE_MARK:
		return SLUICE_WOULD_MARK;
	case SLUICE_DROP_CODEL:
		return SLUICE_WOULD_CODEL;
	case SLUICE_SPILL:
		return SLUICE_WOULD_SPILL;
	case SLUICE_REROUTE:
		return SLUICE_WOULD_REROUTE;
	case SLUICE_TRIM:
		return SLUICE_WOULD_TRIM;
	case SLUICE_BOUNCE:
		return SLUICE_WOULD_BOUNCE;
	default:
		return SLUICE_WOULD_LIMIT;
	}
}

#define SLUICE_OUTCOME_MASK 15 /* of an index into sluice_class_count.outcome */
SLUICE_ASSERT(SLUICE_CLASS_OUTCOMES <= SLUICE_OUTCOME_MASK + 1, "mask of outcomes");

/* Counts a frame that must not join the queue as it came. In shadow mode it does, and nobody is charged: the simulated
 * policy did not let it. */
SLUICE_INLINE void sluice_count_refusal(const struct sluice_request *q, struct sluice_answer *a, struct sluice_flow *f,
					struct sluice_class_count *count)
{
	__u32 outcome = a->outcome < SLUICE_CLASS_OUTCOMES ? a->outcome : SLUICE_DROP_RING;

	if (q->shadow) {
		count->would[sluice_would(a->outcome)]++;
		a->outcome = SLUICE_FORWARD;
		count->outcome[SLUICE_FORWARD]++;
		return;
	}
	if (a->outcome < SLUICE_SPILL)
		f->refused++;
	asm volatile("" : "+r"(outcome)); /* the verifier of 6.1 loses the bound of a copy */
	count->outcome[outcome & SLUICE_OUTCOME_MASK]++;
}

/* The frame joins the queue with `wire` bytes. */
SLUICE_INLINE void sluice_join(struct sluice_flow *f, struct sluice_class_count *count, __u64 start, __u32 wire,
				 __u32 bucket)
{
	f->finish = start + (__u64)wire * f->scale;
	f->bytes += wire;
	f->packets++;
	if (!f->listed)
		sluice_list_flow(f, bucket);
	count->admitted_bytes += wire;
}

/* The histogram of phantom delays. A frame that is not looked at costs an addition and two comparisons. */
SLUICE_INLINE void sluice_note_delay(struct sluice_clock *clock, __u32 class_id, const struct sluice_share *s, __u64 lag,
				     __u64 now)
{
	struct sluice_delays *d;
	__u32 frames = ++clock->asked, bucket;
	__u64 delay;

	if (frames < SLUICE_DELAY_SAMPLE && now - clock->sampled_ns < 1000000)
		return;
	clock->asked = 0;
	clock->sampled_ns = now;
	d = bpf_map_lookup_elem(&sl_delays, &class_id);
	if (!d)
		return;
	delay = sluice_delay_ns(s, lag);
	bucket = sluice_delay_bucket(delay);
	if (bucket >= SLUICE_DELAY_BUCKETS)
		return;
	__sync_fetch_and_add(&d->bucket[bucket], frames);
	__sync_fetch_and_add(&d->sum_ns, delay * frames);
}

/* What the caller has looked up already: each look-up costs as much as ten instructions. */
struct sluice_rows {
	const struct sluice_control *control;
	const struct sluice_port *port; /* of the egress */
	struct sluice_clock *clock;     /* of this CPU */
	__u32 flowlet;                  /* sluice_transition.flowlet, where the request has `ways` */
};

/* Has the kernel's qdisc been seen empty since the flow's last frame went there? Ages are modulo that of the tick. */
SLUICE_INLINE int sluice_spill_drained(__u32 age, const struct sluice_port *port, __u64 now)
{
	__u64 since = now - port->spill_drained_ns;

	return since < SLUICE_AWAY_TICK(~0ull) << 17 && age > (since >> 17) + 1;
}

/* A flow whose frames went another way stays there while frames of it may still be on that way. Of one that was rerouted
 * bpf_ingress/reroute.h decides, which knows how both ports serve their flows. */
SLUICE_INLINE int sluice_stays_away(struct sluice_flow *f, const struct sluice_rows *rows, __u64 now)
{
	__u32 age = sluice_away_age(f->away, now);

	if (SLUICE_AWAY_WHERE(f->away) != SLUICE_AWAY_SPILL)
		return 1;
	if (rows->port->spill_drained_ns ? !sluice_spill_drained(age, rows->port, now) : age < rows->flowlet)
		return 1;
	f->away = 0;
	return 0;
}

SLUICE_INLINE void sluice_leave_open(struct sluice_answer *a, struct sluice_class *c, struct sluice_class_count *count,
				     struct sluice_flow *f, __u64 vt)
{
	a->open = 1;
	a->klass = c;
	a->count = count;
	a->flow = f;
	a->vt = vt;
}

/* Ends what sluice_admit_rows() left open. */
SLUICE_INLINE void sluice_settle(const struct sluice_request *q, struct sluice_answer *a, __u32 outcome)
{
	a->open = 0;
	a->outcome = outcome;
	sluice_count_refusal(q, a, a->flow, a->count);
}

/* A frame of the flow goes to the kernel's qdisc, and those that follow. The flow is charged as far as its phantom queue
 * has room: it keeps its place among those that wait, and its share of the port is what the qdisc may send. */
SLUICE_INLINE void sluice_spill(const struct sluice_request *q, struct sluice_answer *a, __u64 now)
{
	const struct sluice_class *c = a->klass;
	__u64 limit = c->share[c->current & 1].limit_bytes, lag = sluice_lag(a->flow->finish, a->vt);
	__u64 room = limit > lag ? limit - lag : 0, wire = q->wire;

	a->flow->away = SLUICE_AWAY(SLUICE_AWAY_SPILL, now);
	sluice_join(a->flow, a->count, a->vt + lag, wire < room ? wire : room, a->bucket);
}

/* Decide, charge the flow and count. The caller redirects, marks or drops as told; when its redirect fails after
 * all, that frame has been charged for nothing, which the next tick absorbs. Returns 0, or -1 when a map index is
 * out of range: a bug of the caller, who should then let the frame pass to the kernel. */
SLUICE_INLINE int sluice_admit_rows(const struct sluice_request *q, const struct sluice_rows *rows,
				    struct sluice_answer *a)
{
	__u32 class_id = q->class_id;
	__u32 class_row = class_id * q->cpus + q->cpu, tx_row = q->port * q->cpus + q->cpu;
	struct sluice_class *c = bpf_map_lookup_elem(&sl_classes, &class_id);
	struct sluice_class_count *count = bpf_map_lookup_elem(&sl_class_counts, &class_row);
	struct sluice_tx *tx = bpf_map_lookup_elem(&sl_tx, &tx_row);
	struct sluice_share *s;
	enum sluice_guard_answer guard;
	struct sluice_flow *f;
	__u64 now, vt, lag;

	if (!c || !count || !tx)
		return -1;
	a->tx = tx;
	a->remark = c->remark;
	now = sluice_now(rows->clock);
	s = &c->share[c->current & 1];
	vt = sluice_vt(s, now);
	if ((__s64)(now - s->t0_ns) > (__s64)SLUICE_HORIZON_NS)
		sluice_carry_on(s, vt, now);
	f = sluice_find_flow(q, rows->control->flow_mask, vt, a);
	if (!f)
		return -1;
	if (q->ways && SLUICE_AWAY_WHERE(f->away) && sluice_stays_away(f, rows, now)) {
		a->outcome = SLUICE_AWAY_WHERE(f->away) == SLUICE_AWAY_SPILL ? SLUICE_SPILL : SLUICE_REROUTE;
		sluice_leave_open(a, c, count, f, vt);
		return 0;
	}
	lag = sluice_lag(f->finish, vt);
	sluice_note_delay(rows->clock, class_id, s, lag, now);
	a->delay_ns = 0;
	a->ring_ns = (__s64)(tx->empty_at_ns - now) > 0 ? tx->empty_at_ns - now : 0;
	guard = q->shadow ? SLUICE_GUARD_QUIET : sluice_guard(tx, rows->port, lag, a->ring_ns);
	if (guard == SLUICE_GUARD_SIGNAL && q->ect && c->mark)
		a->outcome = SLUICE_MARK;
	else if (guard != SLUICE_GUARD_QUIET)
		a->outcome = SLUICE_DROP_RING;
	else if (sluice_crowded(c, f, rows->control, now))
		a->outcome = SLUICE_DROP_LIMIT;
	else
		a->outcome = sluice_flow_law(f, c, s, q, lag, now, &a->delay_ns);
	if (a->outcome > SLUICE_MARK) {
		if (q->trial)
			return 0;
		if (q->ways && c->ways)
			sluice_leave_open(a, c, count, f, vt);
		else
			sluice_count_refusal(q, a, f, count);
		return 0;
	}
	if (q->shadow && a->outcome == SLUICE_MARK) {
		count->would[SLUICE_WOULD_MARK]++;
		a->outcome = SLUICE_FORWARD;
	}
	if (f->pressure)
		f->pressure--;
	sluice_join(f, count, vt + lag, q->wire, a->bucket);
	if (q->ways & 1 << SLUICE_WAY_REROUTE)
		f->away = SLUICE_AWAY(0, now);
	if (q->trial)
		count->taken_over++;
	else
		count->outcome[a->outcome]++;
	return 0;
}

/* The same for callers who hold no rows. */
SLUICE_INLINE int sluice_admit(const struct sluice_request *q, struct sluice_answer *a)
{
	__u32 port_id = q->port, cpu = q->cpu, zero = 0;
	struct sluice_rows rows = {};

	rows.control = bpf_map_lookup_elem(&sl_control, &zero);
	rows.port = bpf_map_lookup_elem(&sl_ports, &port_id);
	rows.clock = bpf_map_lookup_elem(&sl_clocks, &cpu);
	return rows.control && rows.port && rows.clock ? sluice_admit_rows(q, &rows, a) : -1;
}

SLUICE_INLINE void sluice_note_wire(struct sluice_tx *tx, __u32 wire)
{
	tx->pending[tx->head & (SLUICE_PENDING - 1)] = wire;
	tx->head++;
	tx->admitted_packets++;
}

/* Generic XDP sends a frame at once, by no tracepoint: what the verdict lets go has gone. */
SLUICE_INLINE void sluice_note_gone(struct sluice_tx *tx, __u32 wire)
{
	tx->sent_packets += tx->head - tx->tail;
	tx->sent_bytes += wire;
	tx->tail = tx->head;
}

/* Note an admitted frame's length for the egress hook, which sees only how many frames went. Call it for each frame
 * that bpf_redirect_map() accepted. */
SLUICE_INLINE void sluice_note_redirect(const struct sluice_request *q, const struct sluice_answer *a)
{
	sluice_note_wire(a->tx, q->wire);
}

#endif
