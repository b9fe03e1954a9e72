/* SPDX-License-Identifier: GPL-2.0-only
 *
 * The program of a fast port: parse -> route -> classify -> admit -> act, one header per step. It is loaded once per
 * device, with that device's constants. Every frame ends in exactly one counted outcome.
 */
#ifndef SLUICE_INGRESS_H
#define SLUICE_INGRESS_H

#include "act.h"
#include "classify.h"
#include "report.h"
#ifndef SLUICE_TC
#include "refusal.h"
#endif

const volatile __u32 abi_version = SLUICE_ABI_VERSION; /* checked by the controller before it loads */
const volatile struct sluice_ingress_config config = {};

/* The controller sleeps when nothing flows; the first frame wakes it. */
static __always_inline void wake_controller(struct sluice_control *control)
{
	struct sluice_event *e;

	e = bpf_ringbuf_reserve(&sl_events, sizeof(*e), 0);
	if (!e)
		return; /* the next frame tries again */
	control->wake = 0;
	__builtin_memset(e, 0, __builtin_offsetof(struct sluice_event, frame));
	e->kind = SLUICE_EVENT_WAKE;
	bpf_ringbuf_submit(e, BPF_RB_FORCE_WAKEUP);
}

static __always_inline int controller_lost(const struct sluice_control *control, const struct sluice_transition *t,
					   struct sluice_clock *clock)
{
	__u64 now;

	if (!config.loss_bypass || !t->bypass_on_loss || control->wake)
		return 0;
	now = sluice_now(clock);
	return (__s64)(now - control->heartbeat_ns) > (__s64)SLUICE_LOSS_NS;
}

/* Of a super frame, those beyond the first. */
static __always_inline void count_more(const struct sluice_request *q, const struct sluice_answer *a, __u32 more)
{
	__u32 row = q->class_id * q->cpus + q->cpu;
	struct sluice_class_count *count = bpf_map_lookup_elem(&sl_class_counts, &row);

	if (count)
		count->outcome[a->outcome & SLUICE_OUTCOME_MASK] += more;
	if (a->outcome > SLUICE_MARK)
		return;
	a->tx->admitted_packets += more;
	a->tx->sent_packets += more;
}

/* Decide about a frame whose way out is known. Returns the outcome; the frame is changed only if it is forwarded. */
static __always_inline __u32 admit_and_send(struct packet *p, const struct route *r, struct sluice_control *control,
					    struct sluice_clock *clock, const struct sluice_port_count *count, __u32 cpu)
{
	__u32 egress = r->egress & (SLUICE_MAX_EGRESS - 1);
	__u32 row = (control->generation & 1) * SLUICE_MAX_TRANSITIONS + config.egress_transition[egress];
	struct sluice_transition *t = bpf_map_lookup_elem(&sl_transitions, &row);
	struct sluice_request q = {};
	struct sluice_answer a = {};
	struct sluice_rows rows = {.control = control, .port = r->port, .clock = clock};
	__u32 more = frame_more(p->ctx);

	q.port = config.egress_port[egress];
	if (!rows.port)
		rows.port = bpf_map_lookup_elem(&sl_ports, &q.port);
	if (!t || !rows.port)
		return SLUICE_PASS_NOT_OURS;
	if (controller_lost(control, t, clock))
		return SLUICE_PASS_BYPASS;
	if (!frame_has_way(q.port, rows.port))
		return SLUICE_PASS_OUT_OF_SERVICE;
	q.class_id = classify(t, row, p);
	set_flow(t, p, &q);
	q.wire = frame_wire(p->ctx, rows.port, p->length + growth(p), frame_headers(p->l3_offset, p->family, p->proto));
	q.cpu = cpu;
	q.cpus = config.cpus;
	q.shadow = t->shadow;
	q.ways = config.ways;
	rows.flowlet = t->flowlet;
	if (p->family) {
		q.ect = (p->tos & ECN_MASK) != 0;
		q.l4s = (p->tos & ECN_MASK) == 1;
	}
	if (sluice_admit_rows(&q, &rows, &a))
		return SLUICE_PASS_NOT_OURS;
	if (a.fresh)
		note_flow(p, &q, a.bucket);
#ifndef SLUICE_TC
	if (config.ways && a.open) {
		leave(p, r, row, &q, &a);
		return SLUICE_PASS_BYPASS; /* packet pointers are void after a tail call, also one that failed */
	}
#endif
	if (more)
		count_more(&q, &a, more);
	if (a.outcome > SLUICE_FORWARD)
		report(p, &q, &a, clock, control);
	if (a.outcome > SLUICE_MARK)
		return a.outcome;
	if (!config.xconnect)
		hop(p, r);
	if (a.outcome == SLUICE_MARK)
		set_ce(p);
	if (a.remark)
		set_dscp(p, a.remark);
	sluice_note_redirect(&q, &a);
	if (count->generic)
		sluice_note_gone(a.tx, q.wire);
	return a.outcome;
}

static __always_inline int ingress(struct frame_context *ctx)
{
	__u32 zero = 0, cpu = bpf_get_smp_processor_id(), row = config.port * config.cpus + cpu;
	struct sluice_port_count *count = bpf_map_lookup_elem(&sl_port_counts, &row);
	struct sluice_control *control = bpf_map_lookup_elem(&sl_control, &zero);
	struct sluice_clock *clock = bpf_map_lookup_elem(&sl_clocks, &cpu);
	struct packet p = {};
	struct route r = {};
	__u32 outcome, more = frame_more(ctx);

	if (!count || !control || !clock)
		return FRAME_PASS; /* cannot happen: the rows exist for every possible CPU */
	if (control->wake)
		wake_controller(control);
	outcome = frame_open(ctx) ? parse(ctx, &p) : SLUICE_PASS_MALFORMED;
	count->received_packets += 1 + more;
	count->received_bytes += p.length + more * frame_headers(p.l3_offset, p.family, p.proto);
	if (outcome == SLUICE_FORWARD)
		outcome = route(ctx, &p, &r);
	if (outcome == SLUICE_FORWARD)
		outcome = admit_and_send(&p, &r, control, clock, count, cpu);
	if (outcome < SLUICE_OUTCOMES)
		count->outcome[outcome] += 1 + more;
	if (outcome <= SLUICE_MARK)
		return retag(&p) ? FRAME_DROP : frame_redirect(ctx, r.egress);
	return outcome < SLUICE_CLASS_OUTCOMES ? FRAME_DROP : FRAME_PASS;
}

#endif
