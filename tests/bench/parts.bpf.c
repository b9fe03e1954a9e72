/* SPDX-License-Identifier: GPL-2.0-only
 *
 * The ingress program of `forward: fib` cut off after each of its steps, then a redirect: the difference of two
 * neighbours is what a step costs. The steps are those of bpf_ingress/, in the same order and on the maps of a running
 * instance; a frame that takes another way than the whole program's common one is passed, and then does not arrive.
 */
#include "../../bpf_ingress/act.h"
#include "../../bpf_ingress/classify.h"

const volatile struct sluice_ingress_config config = {};

#define USED(value) asm volatile("" : : "r"(value)) /* lest the compiler leave a step out */

enum step { ENTER, PARSE, ROUTE, CLASSIFY, ADMIT };

/* What admit_and_send() of ingress.bpf.c does, up to `last`. */
static __always_inline int leave_after(enum step last, struct packet *p, const struct route *r,
				       struct sluice_control *control, struct sluice_clock *clock, __u32 cpu)
{
	__u32 egress = r->egress & (SLUICE_MAX_EGRESS - 1);
	__u32 row = (control->generation & 1) * SLUICE_MAX_TRANSITIONS + config.egress_transition[egress];
	struct sluice_transition *t = bpf_map_lookup_elem(&sl_transitions, &row);
	struct sluice_request q = {.port = config.egress_port[egress], .cpu = cpu, .cpus = config.cpus};
	struct sluice_rows rows = {.control = control, .port = r->port, .clock = clock};
	struct sluice_answer a = {};

	if (!rows.port)
		rows.port = bpf_map_lookup_elem(&sl_ports, &q.port);
	if (!t || !rows.port)
		return XDP_PASS;
	q.class_id = classify(t, row, p);
	set_flow(t, p, &q);
	q.wire = sluice_wire_bytes(rows.port, p->length + growth(p));
	USED(q.hash);
	USED(q.wire);
	if (last == CLASSIFY)
		return bpf_redirect_map(&sl_devmap, q.port, 0);
	rows.flowlet = t->flowlet;
	if (p->family) {
		q.ect = (p->tos & ECN_MASK) != 0;
		q.l4s = (p->tos & ECN_MASK) == 1;
	}
	if (sluice_admit_rows(&q, &rows, &a) || a.outcome)
		return XDP_PASS;
	return bpf_redirect_map(&sl_devmap, q.port, 0);
}

static __always_inline int run_until(enum step last, struct xdp_md *ctx)
{
	__u32 zero = 0, cpu = bpf_get_smp_processor_id(), row = config.port * config.cpus + cpu;
	struct sluice_port_count *count = bpf_map_lookup_elem(&sl_port_counts, &row);
	struct sluice_control *control = bpf_map_lookup_elem(&sl_control, &zero);
	struct sluice_clock *clock = bpf_map_lookup_elem(&sl_clocks, &cpu);
	struct packet p = {};
	struct route r = {};

	if (!count || !control || !clock)
		return XDP_PASS;
	USED(control->wake);
	if (last == ENTER)
		return bpf_redirect_map(&sl_devmap, config.egress_port[0], 0);
	if (parse(ctx, &p) != SLUICE_FORWARD)
		return XDP_PASS;
	USED(p.dport);
	if (last == PARSE)
		return bpf_redirect_map(&sl_devmap, config.egress_port[0], 0);
	if (route(ctx, &p, &r) != SLUICE_FORWARD)
		return XDP_PASS;
	if (last == ROUTE)
		return bpf_redirect_map(&sl_devmap, config.egress_port[r.egress & (SLUICE_MAX_EGRESS - 1)], 0);
	return leave_after(last, &p, &r, control, clock, cpu);
}

SEC("xdp")
int redirect(struct xdp_md *ctx)
{
	return bpf_redirect_map(&sl_devmap, config.egress_port[0], 0);
}

SEC("xdp")
int enter(struct xdp_md *ctx)
{
	return run_until(ENTER, ctx);
}

SEC("xdp")
int parsed(struct xdp_md *ctx)
{
	return run_until(PARSE, ctx);
}

SEC("xdp")
int routed(struct xdp_md *ctx)
{
	return run_until(ROUTE, ctx);
}

SEC("xdp")
int classified(struct xdp_md *ctx)
{
	return run_until(CLASSIFY, ctx);
}

SEC("xdp")
int admitted(struct xdp_md *ctx)
{
	return run_until(ADMIT, ctx);
}

char LICENSE[] SEC("license") = "GPL";
