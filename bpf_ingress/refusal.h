/* SPDX-License-Identifier: GPL-2.0-only
 *
 * A frame that must not join the queue, on its way to the programs that find another way for it: ways_out.h, and
 * reroute.h, which asks other ports. They stand behind tail calls, so that each has the stack to itself; where no class
 * of a port names a way other than mark and drop, neither call nor programs are loaded.
 */
#ifndef SLUICE_REFUSAL_H
#define SLUICE_REFUSAL_H

#include "route.h"

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, SLUICE_REFUSAL_PROGRAMS);
	__type(key, __u32);
	__type(value, __u32);
} sl_ways SEC(".maps");

/* What the overflow ports said: not asked, none can carry it, the flow's port refused it, one takes it. */
enum trial { TRIAL_NONE, TRIAL_NO_WAY, TRIAL_REFUSED, TRIAL_ADMITTED };

/* Where a frame goes in place of the port that refused it, or what that port's admission made of it. */
struct detour {
	__u32 where; /* position in the overflow list, from 1 */
	__u32 port, wire, outcome, remark;
	struct route r;
};

/* What the second program needs to know of the first one's work. */
struct refusal {
	struct sluice_request q;
	__u64 delay_ns, ring_ns, vt;
	__u32 outcome, bucket, remark;
	__u32 row;     /* of the transition */
	__u32 trial;   /* enum trial */
	struct vlan_tags exit;
	struct route r;
	struct detour detour; /* found by the last of them */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct refusal);
} sl_refusal SEC(".maps");

/* Does not return, unless the program is gone: the daemon that holds sl_ways has ended and had nothing pinned. */
static __always_inline void leave(const struct packet *p, const struct route *r, __u32 row, const struct sluice_request *q,
				  const struct sluice_answer *a)
{
	__u32 zero = 0;
	struct refusal *x = bpf_map_lookup_elem(&sl_refusal, &zero);

	if (!x)
		return;
	x->q = *q;
	x->delay_ns = a->delay_ns;
	x->ring_ns = a->ring_ns;
	x->vt = a->vt;
	x->outcome = a->outcome;
	x->bucket = a->bucket;
	x->remark = a->remark;
	x->row = row;
	__builtin_memcpy(x->r.dmac, r->dmac, 6);
	__builtin_memcpy(x->r.smac, r->smac, 6);
	x->exit = p->exit;
	x->trial = TRIAL_NONE;
	x->detour.where = 0;
	bpf_tail_call(p->ctx, &sl_ways, SLUICE_WAYS_OUT);
}

#endif
