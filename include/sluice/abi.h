/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * The contract between the BPF programs and the controller: map keys and values, event records, closed sets of
 * reasons. Plain C for BPF, C17 and C++20; includes nothing of ours. Every structure says who writes it. Anything
 * that changes a size or an offset here changes SLUICE_ABI_VERSION.
 *
 * Units: times in ns of CLOCK_MONOTONIC (bpf_ktime_get_ns), sizes in bytes on the wire (framing included) unless
 * the name says otherwise.
 */
#ifndef SLUICE_ABI_H
#define SLUICE_ABI_H

#include <linux/types.h>

#define SLUICE_ABI_VERSION 3

#define SLUICE_MAX_PORTS 16       /* ports of a policy */
#define SLUICE_MOST_CLASSES 16384 /* classes of one generation, tenants times classes; class_id is 16 bits */
#define SLUICE_MAX_RULES 64       /* match entries of a transition: bits of a word */
#define SLUICE_RANGES 132         /* bounds that 64 intervals can make, and the one at 0 */
#define SLUICE_MAX_TRANSITIONS 16 /* transitions of a policy */
#define SLUICE_MAX_OVERFLOW 4     /* overflow ports of a transition, less than SLUICE_AWAY_SPILL */
#define SLUICE_STAMPS 4096        /* stamp slots of a TX ring, a power of two: deeper rings saturate */
#define SLUICE_PENDING 32         /* frames between verdict and bulk, a power of two > bulk (16) + 1 */
#define SLUICE_FLOW_WAYS 4        /* buckets of a set */
#define SLUICE_LEAST_FLOWS 16384  /* flow buckets, a power of two: sluice_control.flow_mask */
#define SLUICE_CACHE_LINE 64

#ifdef __cplusplus
#define SLUICE_ASSERT(cond, text) static_assert(cond, text)
#else
#define SLUICE_ASSERT(cond, text) _Static_assert(cond, text)
#endif
#define SLUICE_SIZE(type, bytes) SLUICE_ASSERT(sizeof(struct type) == (bytes), #type " changed size")
#define SLUICE_ALIGNED __attribute__((aligned(SLUICE_CACHE_LINE)))

/* What became of a frame at ingress: each received frame ends in exactly one of these. Names: outcome_name(). */
enum sluice_outcome {
	/* decided by the class (counted per class as well) */
	SLUICE_FORWARD = 0,    /* redirected as it came */
	SLUICE_MARK,           /* redirected with CE */
	SLUICE_DROP_CODEL,     /* the flow's phantom delay stood above target for an interval */
	SLUICE_DROP_LIMIT,     /* the flow's phantom delay exceeds the hard limit */
	SLUICE_DROP_RING,      /* the TX ring itself is too far behind (port guard) */
	/* ... and instead of such a drop, where the class names another way (enum sluice_way) */
	SLUICE_SPILL,          /* given to the kernel, whose qdisc queues it */
	SLUICE_REROUTE,        /* redirected to an overflow port */
	SLUICE_TRIM,           /* payload cut, the rest redirected */
	SLUICE_BOUNCE,         /* consumed: a notification went back to the sender */
	SLUICE_CLASS_OUTCOMES, /* number of the above */

	/* given to the kernel */
	SLUICE_PASS_NON_IP = SLUICE_CLASS_OUTCOMES, /* ARP, LLDP, ... : the kernel's business */
	SLUICE_PASS_MALFORMED, /* headers that lie about their length: the kernel judges */
	SLUICE_PASS_VLAN,      /* tagged, with forward: fib: no VLAN interface is known that could be routed from */
	SLUICE_PASS_PPPOE,     /* PPPoE session, with forward: fib: the route belongs to the PPP interface */
	SLUICE_PASS_MULTICAST, /* not a unicast frame, or link-local addresses */
	SLUICE_PASS_OTHERHOST, /* not addressed to this port's MAC */
	SLUICE_PASS_OPTIONS,   /* IPv4 options or hop-by-hop header: routers must look at them */
	SLUICE_PASS_TTL,       /* TTL or hop limit 1 or less */
	SLUICE_PASS_LOCAL,     /* to this host, or no route of unicast kind */
	SLUICE_PASS_NEIGHBOUR, /* next hop not resolved yet: the kernel resolves it */
	SLUICE_PASS_MTU,       /* too big for the egress: the kernel fragments or sends ICMP */
	SLUICE_PASS_NOT_OURS,  /* the route leaves by an interface that no transition names */
	SLUICE_PASS_BYPASS,    /* controller lost and the policy says bypass */
	SLUICE_PASS_OUT_OF_SERVICE, /* the egress port takes no frames now: it has no entry in the devmap */
	SLUICE_OUTCOMES
};

/* What shadow mode would have done; the frame itself is counted as SLUICE_FORWARD. The guard of the ring has no say
 * there: it would judge a ring that shadow mode itself lets fill. */
enum sluice_would {
	SLUICE_WOULD_MARK = 0,
	SLUICE_WOULD_CODEL,
	SLUICE_WOULD_LIMIT,
	SLUICE_WOULD_SPILL,
	SLUICE_WOULD_REROUTE,
	SLUICE_WOULD_TRIM,
	SLUICE_WOULD_BOUNCE,
	SLUICE_WOULDS
};

/* What a class does with a frame that must not join the queue, other than to drop it. sluice_class.ways holds them in
 * the order of the policy, the first in the lowest 4 bits, 0 = end; sluice_ingress_config.ways has a bit for each. */
enum sluice_way {
	SLUICE_WAY_DROP = 0,
	SLUICE_WAY_SPILL,
	SLUICE_WAY_REROUTE,
	SLUICE_WAY_TRIM,
	SLUICE_WAY_BOUNCE,
	SLUICE_WAYS
};
#define SLUICE_WAY_BITS 4
#define SLUICE_WAY_OUTCOME(way) (SLUICE_SPILL + (way) - SLUICE_WAY_SPILL)
SLUICE_ASSERT(SLUICE_BOUNCE - SLUICE_SPILL == SLUICE_WAY_BOUNCE - SLUICE_WAY_SPILL, "ways and outcomes have one order");

/* What the kernel did with a frame after the verdict "redirect", seen by tracepoints, per egress port. */
enum sluice_kernel_drop {
	SLUICE_KDROP_RING_FULL = 0, /* the driver took fewer frames than offered, no error given */
	SLUICE_KDROP_XMIT_ERROR,    /* the driver refused the bulk: link down, queue gone, ... */
	SLUICE_KDROP_TOO_BIG,       /* EMSGSIZE */
	SLUICE_KDROP_NO_DEVICE,     /* ENETDOWN, ENODEV, ENXIO, EINVAL: no such entry in the devmap */
	SLUICE_KDROP_UNSUPPORTED,   /* EOPNOTSUPP: no ndo_xdp_xmit */
	SLUICE_KDROP_NO_SPACE,      /* ENOSPC, ENOMEM and all other errors */
	SLUICE_KDROPS
};

/* Word that both sides watch. Writer: controller, except `wake`, which ingress clears. */
struct sluice_control {
	__u32 abi_version;
	__u32 generation;     /* which half of transitions[] counts, 0 or 1 */
	__u32 wake;           /* 1: the controller sleeps, the next frame shall send SLUICE_EVENT_WAKE */
	__u32 sample_rate;    /* events per CPU and jiffy */
	__u64 heartbeat_ns;   /* time of the last tick, or of falling asleep */
	__u32 devmap_id;      /* of sl_devmap, so that tracepoints know our redirects */
	__u32 flow_mask;      /* flow sets - 1, a power of two - 1 */
	__u64 policy_hash[2]; /* per generation: what it was filled with; a new controller compares */
	__u64 reserved1[2];
};
SLUICE_SIZE(sluice_control, 64);

/* CoDel's two knobs and its memory (codel.h). */
struct sluice_codel_params {
	__u64 target_ns;
	__u64 interval_ns;
};
struct sluice_codel {
	__u64 first_above_ns; /* when the delay will have been above target for an interval, 0 = it is below */
	__u64 next_ns;        /* next signal while dropping */
	__u32 count;          /* signals of this dropping phase */
	__u16 last_count;     /* count when it began */
	__u16 dropping;
};
SLUICE_SIZE(sluice_codel, 24);

/* PI2's knobs and its memory (pi2.h). */
struct sluice_pi2_params {
	__u64 target_ns;
	__u64 update_ns;
	__u32 alpha, beta;    /* probability per second of error and of its change, 16 fraction bits */
};
struct sluice_pi2 {
	__u64 updated_ns;
	__u64 delay_ns;       /* at the last update */
	__u32 probability;    /* of a scalable signal, 2^32 = 1; its square is the classic one */
	__u32 reserved;
};
SLUICE_SIZE(sluice_pi2, 24);

/* One flow, or one host: a cache line. Writer: the CPU that received the frame; `listed` and `scale` also by the
 * controller. */
struct sluice_flow {
	__u64 finish;         /* virtual time at which the last admitted byte is served, bytes of class virtual time */
	union {               /* of the class's law */
		struct sluice_codel codel;
		struct sluice_pi2 pi2;
	};
	__u32 tag;            /* flow hash, 0 = free */
	__u16 class_id;
	__u8 listed;          /* 1: the controller knows that this bucket is in use; else it may be taken over */
	__u8 pressure;        /* rises with refusals, falls with admissions: see SLUICE_UNRESPONSIVE */
	__u64 bytes;          /* admitted */
	__u32 packets;        /* admitted */
	__u32 refused;        /* dropped */
	__u32 host;           /* isolate: dual-*, triple: hash of the host; triple: of both, 16 bits each */
	__u16 scale;          /* bytes of virtual time per byte: busy flows of the host, 1 without hosts */
	__u16 away;           /* SLUICE_AWAY(): which way its frames go; kept where some class has ways */
} SLUICE_ALIGNED;
SLUICE_SIZE(sluice_flow, 64);

/* sluice_flow.away: where to (3 bits; 0 = the queue) and when its last frame went, in 2^17 ns modulo 2^13, about a
 * second (sluice_away_age()). The wrap makes a flow that comes back just then look recent: it stays away for one more frame. */
#define SLUICE_AWAY_SPILL 7 /* else the position in sluice_transition.overflow, from 1 */
#define SLUICE_AWAY_TICK(ns) ((__u16)((ns) >> 17 & 0x1fff))
#define SLUICE_AWAY(where, ns) ((__u16)((where) << 13 | SLUICE_AWAY_TICK(ns)))
#define SLUICE_AWAY_WHERE(away) ((away) >> 13)

/* Whose bucket it is, for people: written when the bucket is taken, read by the controller. */
struct sluice_flow_info {
	__u8 src[16], dst[16];     /* IPv4 in the first 4 bytes */
	__u16 sport, dport;        /* host order */
	__u8 family, proto, dscp;
	__u8 port;                 /* egress port index */
	__u32 tag;                 /* of the flow that it speaks of */
	__u32 reserved;
};
SLUICE_SIZE(sluice_flow_info, 48);

/* A flow that loses more than a third of its frames for some hundred frames does not respond to drops. Pressure
 * rises by 2 per refusal, falls by 1 per admission, and counts from here on. */
#define SLUICE_UNRESPONSIVE 128

/* A flow's first bytes, as many as some limits, may have so many times the limit waiting: slow start comes in bursts,
 * and a short flow that loses one waits for a timeout. Never more than what flows may have that can be marked: that is
 * where the ring ends. Not among so many flows that a limit is less than a burst of SLUICE_YOUNG_LEAST bytes: their
 * bursts together would be the ring. */
#define SLUICE_YOUNG_LIMITS 5
#define SLUICE_YOUNG_LEAST (10 << 10)
#define SLUICE_YOUNG_ROOM  3

/* Buckets that one hash value may use. */
struct sluice_flow_set {
	struct sluice_flow way[SLUICE_FLOW_WAYS];
};

/* One side of the published state of a class. Writer: controller, then it flips sluice_class.current; while the
 * controller is late also ingress, which carries vt0 and t0_ns on.
 * Per-flow service is what GPS would give each backlogged flow of the class: service rate / active flows. With
 * hosts (isolate: dual-*, triple) it is per host, and a flow's bytes count `scale` times. */
struct sluice_share {
	__u64 vt0;            /* virtual time at t0: bytes of service that each backlogged flow has had */
	__u64 t0_ns;
	__u64 bytes_per_ns;   /* per-flow service, 32 fraction bits */
	__u64 ns_per_byte;    /* its inverse, 20 fraction bits */
	__u64 target_bytes;   /* CoDel target in bytes of per-flow service */
	__u64 step_bytes;     /* L4S step, likewise */
	__u64 limit_bytes;    /* hard limit, likewise */
	__u64 short_limit_bytes; /* hard limit of flows that do not respond to drops */
} SLUICE_ALIGNED;
SLUICE_SIZE(sluice_share, 64);

enum sluice_law { SLUICE_LAW_CODEL = 0, SLUICE_LAW_PI2 };

/* sluice_class.remark: write this DSCP into the frame. */
#define SLUICE_REMARK 0x40

struct sluice_class {
	struct sluice_share share[2];
	/* one more line: configuration, changes with the policy only, and the index */
	__u32 current;        /* share in force */
	__u8 mark;            /* 1: signal ECT packets with CE instead of a drop */
	__u8 law;             /* enum sluice_law */
	__u8 remark;          /* SLUICE_REMARK | DSCP, 0 = leave it */
	__u8 crowded;         /* 1: more waits than the class may have waiting; who has nothing waiting stays out */
	union {
		struct sluice_codel_params codel;
		struct sluice_pi2_params pi2;
	};
	__u64 ect_limit_bytes; /* hard limit of flows that can be marked, where it is above that of the share */
	__u16 ways;           /* enum sluice_way, see there; 0 = drop */
	__u16 trim_bytes;     /* of the IP packet that a trim leaves */
	__u8 trim_dscp;       /* SLUICE_REMARK | DSCP of trimmed packets, 0 = leave it */
	__u8 reserved1[3];
	__u64 name_hash;      /* of port, tenant and class: counters follow it. 0 = no class */
	__u64 reserved[1];
} SLUICE_ALIGNED;
SLUICE_SIZE(sluice_class, 192);

#define SLUICE_DELAY_BUCKETS 20 /* of a histogram, see histogram.h */

/* Phantom delays that the frames of a class met, refused ones too. Every SLUICE_DELAY_SAMPLEth frame of a CPU is looked at,
 * or the next after a millisecond, and stands for those that came since the last. Writers: all CPUs, atomically. */
struct sluice_delays {
	__u64 bucket[SLUICE_DELAY_BUCKETS]; /* frames */
	__u64 sum_ns;
	__u64 reserved[3];
} SLUICE_ALIGNED;
SLUICE_SIZE(sluice_delays, 192);
#define SLUICE_DELAY_SAMPLE 17 /* coprime to the bulk size: no position in a bulk is preferred */

/* Per CPU and class. Writer: that CPU. */
struct sluice_class_count {
	__u64 admitted_bytes;
	__u64 outcome[SLUICE_CLASS_OUTCOMES]; /* frames */
	__u64 would[SLUICE_WOULDS];           /* frames, shadow mode */
	__u64 taken_over;                     /* frames admitted that another port's class counts as SLUICE_REROUTE */
	__u64 reserved[6];
} SLUICE_ALIGNED;
SLUICE_SIZE(sluice_class_count, 192);

/* Per CPU and ingress port. Writer: that CPU. */
struct sluice_port_count {
	__u64 received_packets;
	__u64 received_bytes;                /* frame bytes, as the device counts them */
	__u64 outcome[SLUICE_OUTCOMES];      /* of the frames received here: their sum is received_packets */
	__u64 generic;                       /* 1: the program is attached in generic mode. Writer: the controller */
} SLUICE_ALIGNED;
SLUICE_SIZE(sluice_port_count, 256);

/* Per CPU and egress port. Writers: ingress and the egress hooks, on that CPU, never at the same time. */
struct sluice_tx {
	__u64 empty_at_ns;    /* when the ring this CPU feeds will have drained, as seen at the last bulk */
	__u32 head, tail;     /* pending[]: frames between verdict and bulk */
	__u32 signals;        /* guard: frames of backlogged flows that still have to be signalled */
	__u32 ring;           /* index of the ring that this CPU feeds */
	__u64 sent_packets;
	__u64 sent_bytes;     /* on the wire */
	__u64 admitted_packets; /* verdict "redirect to this port": all of them end in sent_packets or drops */
	__u64 drops[SLUICE_KDROPS];
	struct sluice_codel guard; /* on the ring's head-of-line sojourn */
	__u32 in_bulk;        /* devmap hook: frames behind the producer that the driver has not taken yet */
	__u32 reserved0;
	__u32 pending[SLUICE_PENDING]; /* wire bytes of each */
	__u64 sojourn[SLUICE_DELAY_BUCKETS]; /* frames by the age of the ring's head when their bulk had entered */
	__u64 sojourn_ns;     /* its sum over these frames */
	__u64 slow_packets;   /* that the kernel's stack sent by this port; writer: tc egress, only with `spill` */
	__u64 slow_bytes;     /* on the wire */
	__u64 reserved1;
} SLUICE_ALIGNED;
SLUICE_SIZE(sluice_tx, 448);

/* Clock that the frames of one NAPI poll share. Writer: that CPU. */
struct sluice_clock {
	__u64 now_ns;
	__u64 jiffies;
	__u64 event_jiffies;
	__u32 left;           /* frames that may still use now_ns */
	__u32 events;         /* verdict events sent in event_jiffies */
	__u32 egress;         /* port index of the last bulk: a guess that saves the hook a hash look-up */
	__u32 asked;          /* frames since one was last counted in sluice_delays */
	__u64 sampled_ns;     /* and when that was */
	__u64 bounce_ns;      /* until when the allowance for notifications is used up, see bounce.h */
	__u64 reserved1;
} SLUICE_ALIGNED;
SLUICE_SIZE(sluice_clock, 64);

/* What one look at a TX ring found. */
struct sluice_reading {
	__u64 time_ns;
	__u64 sojourn_ns;     /* age of the frame at the head, 0 when the ring is empty */
	__u64 waiting_bytes;  /* of frames of ours */
	__u64 drained_bytes;  /* counter: bytes of ours that have left the ring */
	__u32 occupancy;      /* descriptors in use, frames of the stack included */
	__u32 size;           /* descriptors */
	__u32 empties;        /* counter: bulks that found the ring empty */
	__u32 valid;          /* 0: the reader could not follow the driver's pointers */
};
SLUICE_SIZE(sluice_reading, 48);

/* Per egress port and ring. Writers: `hook` and the counters by the egress hook, `tick` by the sampler that the
 * controller runs; `device` by the hook. */
struct sluice_ring {
	__u64 produced;       /* position: descriptors that the ring has taken, ours and the stack's */
	__u64 in_bytes;       /* counter: bytes of ours that the ring has taken */
	__u64 device;         /* address of the net_device, checked by ifindex before use */
	__u64 foreign;        /* counter: descriptors that others filled */
	__u32 empties;
	__u32 cpu;            /* that moved `produced` last */
	__u64 empty_ns;       /* when the ring was last seen empty */
	__u64 reserved1[2];
	struct sluice_reading hook, tick;
	__u64 reserved2[4];
} SLUICE_ALIGNED;
SLUICE_SIZE(sluice_ring, 192);

/* Argument of the sampler program. */
struct sluice_sample_args {
	__u32 port;
	__u32 reserved;
};

struct sluice_stamp {
	__u64 time_ns;        /* when the frame entered the ring */
	__u64 before_bytes;   /* sluice_ring.in_bytes before it */
};
struct sluice_stamps {
	struct sluice_stamp at[SLUICE_STAMPS]; /* position modulo what the ring needs, see stamp_mask() in bpf_egress */
};

/* Writer: controller. */
struct sluice_port {
	__u32 ifindex;        /* 0: no such device now */
	__u32 reader;         /* enum sluice_reader of rings/table.h */
	__u32 overhead;       /* bytes that framing adds */
	__u32 mpu;            /* smallest frame on the wire */
	__u32 cells;          /* 1: ATM */
	__u32 mtu;            /* of the device: largest IP packet */
	__u64 ns_per_byte;    /* drain time of one byte in one ring, 20 fraction bits; 0 = not known yet */
	struct sluice_codel_params guard;
	__u64 guard_limit_ns;
	__u32 ring_rules;     /* 1: the reading of the ring is trusted, guard and refusals go by it */
	__u32 name_hash;      /* counters follow it */
	__u64 spill_drained_ns; /* frames that the kernel got before have left its qdisc; 0 = nobody watches it */
	__u32 down;           /* 1: nothing leaves by it: gone, down, without carrier. For tc; XDP asks the devmap */
	__u32 reserved2;
	__u64 reserved1[6];
};
SLUICE_SIZE(sluice_port, 128);

/* An interface, and the VLAN tags of a frame on it: the outermost, or the only one, in the low 16 bits, the next in the high
 * ones; 0 = none. A tag: host order of its protocol and what follows it, priority left out. */
#define SLUICE_MAX_VLANS 16384
#define SLUICE_TAG_8021AD 0x1000
#define SLUICE_TAG(proto_, tci_) (0x8000u | ((proto_) == 0x88a8 ? SLUICE_TAG_8021AD : 0u) | ((tci_) & 0xfffu))
struct sluice_place {
	__u32 ifindex;
	__u32 tags;
};
SLUICE_SIZE(sluice_place, 8);

/* Matching is by bitmaps, one bit per match entry ("rule") of the transition, bit 0 the first: each field of the
 * frame selects the rules that it satisfies, their intersection are the rules that hold, its lowest bit wins. The
 * cost does not depend on the number of rules, nor on that of prefixes.
 *
 * Rules by a 16-bit value: those of the last entry whose `first` is not above it. */
struct sluice_ranges {
	__u32 count;               /* at least 1: first[0] = 0 */
	__u32 reserved;
	__u16 first[SLUICE_RANGES];
	__u64 rules[SLUICE_RANGES];
};
SLUICE_SIZE(sluice_ranges, 8 + 10 * SLUICE_RANGES);

/* Longest-prefix match: rules and tenant by address or VLAN, all tables in one trie. */
enum sluice_prefix_table { SLUICE_BY_SRC = 0, SLUICE_BY_DST, SLUICE_BY_VLAN, SLUICE_PREFIX_TABLES };
struct sluice_prefix_key {
	__u32 bits;                /* that count, those of `table` included */
	__u32 table;               /* (generation * SLUICE_MAX_TRANSITIONS + transition) * 8 + sluice_prefix_table * 2,
				    * + 1 for IPv6 */
	__u32 address[4];          /* network order; IPv4 in the first word; a VLAN id likewise */
};
struct sluice_prefix {
	__u64 rules;
	__u32 tenant;              /* 0 = not a tenant's */
	__u32 reserved;
};

enum sluice_isolate {
	SLUICE_ISOLATE_FLOW = 0,
	SLUICE_ISOLATE_SRC,
	SLUICE_ISOLATE_DST,
	SLUICE_ISOLATE_HOSTS,      /* pairs of hosts */
	SLUICE_ISOLATE_DUAL_SRC,   /* source hosts first, then the flows of each */
	SLUICE_ISOLATE_DUAL_DST,
	SLUICE_ISOLATE_TRIPLE,     /* fair between hosts of whichever side has more flows, then flows */
	SLUICE_ISOLATE_NONE,
};

/* One transition of one generation. Writer: controller, before it flips sluice_control.generation. The class of a
 * frame is first_class + tenant * tenant_classes + the class of the first rule that holds. */
struct sluice_transition {
	__u32 to;                  /* port index */
	__u32 shadow;              /* 1: count what would happen, forward all */
	__u32 isolate;             /* enum sluice_isolate */
	__u32 bypass_on_loss;      /* 1: PASS all once the heartbeat is older than SLUICE_LOSS_NS */
	__u32 first_class;         /* class id */
	__u32 tenant_classes;      /* class ids of each tenant; 0 = no tenants */
	__u32 tenants;             /* tenant 0, who is nobody's, included */
	__u32 rule_count;
	__u32 lookups;             /* bit per enum sluice_prefix_table: some rule or tenant needs that look-up */
	__u32 flowlet;             /* gap after which a flow that is away may come home, in SLUICE_AWAY_TICK() */
	__u32 overflow_count;
	__u32 overflow[SLUICE_MAX_OVERFLOW]; /* transitions, relative as everywhere, whose ports take what this one refuses */
	__u32 next_hop4;           /* network order: router behind `to` for frames of other transitions' overflow; */
	__u32 next_hop6[4];        /* 0 = the kernel's routes tell */
	__u32 by_ports, by_vlan, by_length; /* 1: some rule asks for sport or dport, for vlan, for length */
	__u16 default_class;       /* relative to first_class, as those of rules */
	__u16 class_of[SLUICE_MAX_RULES];
	__u16 reserved[3];
	__u64 not_ip;              /* rules that ask for nothing in an IP header */
	__u64 no_ports;            /* rules that do not ask for ports */
	__u64 any_src, any_dst;    /* rules that do not ask for an address: where the trie has no entry */
	__u64 dscp[64];
	__u64 proto[256];
	__u64 pcp[8 + 1];          /* the last: untagged */
	__u64 untagged;            /* rules that do not ask for a VLAN */
	__u64 ingress[SLUICE_MAX_PORTS];
	struct sluice_ranges sport, dport, vlan, length;
};

/* Programs behind sl_ways, the tail calls of a frame that must not join the queue. */
enum sluice_refusal_program { SLUICE_WAYS_OUT = 0, SLUICE_DETOUR, SLUICE_REFUSAL_PROGRAMS };

/* What a bounce tells the sender: the ICMP header and what follows it, then the first bytes of the packet that it is about.
 * Network order. docs/bounce.md */
#define SLUICE_NOTICE_VERSION 1
#define SLUICE_NOTICE_ICMP 253  /* experiment, RFC 4727 */
#define SLUICE_NOTICE_ICMP6 100 /* private experimentation, an error message, RFC 4443 */
#define SLUICE_QUOTE4 28        /* IPv4 header and 8 bytes */
#define SLUICE_QUOTE6 48        /* IPv6 header and 8 bytes */
#define SLUICE_BOUNCE_RATE 1000 /* notifications per second and CPU */
#define SLUICE_BOUNCE_BURST 32
struct sluice_notice {
	__u8 type, code;           /* code 0 */
	__u16 checksum;
	__u8 version;
	__u8 quoted;               /* bytes of the packet behind this structure */
	__u16 reserved;
	__u32 delay_us;            /* of the flow in its phantom queue */
	__u32 ring_us;             /* of the TX ring */
	__u32 share_kbps;          /* what the flow is served now: send no faster, wire bytes counted */
	__u16 ring_used, ring_size; /* descriptors; 0 = not known */
};
SLUICE_SIZE(sluice_notice, 24);

#define SLUICE_LOSS_NS 10000000000ull /* heartbeat older than this: the controller is lost */

/* Load-time constants of the ingress program of one device: what they switch off costs nothing. */
#define SLUICE_MAX_EGRESS 8
struct sluice_ingress_config {
	__u32 port;                /* port index of the device */
	__u32 cpus;                /* possible CPUs: per-CPU rows of the count arrays */
	__u32 ports;               /* ports of the policy */
	__u32 seed[2];             /* of the flow hash */
	__u32 xconnect;            /* 1: everything leaves by egress 0; 0: bpf_fib_lookup decides */
	__u32 rules;               /* 1: some transition has rules or tenants */
	__u32 frags;               /* 1: loaded as xdp.frags */
	__u32 ways;                /* bit 1 << enum sluice_way for each that some class uses */
	__u32 egress_count;
	__u32 egress_ifindex[SLUICE_MAX_EGRESS];
	__u32 egress_transition[SLUICE_MAX_EGRESS];
	__u32 egress_port[SLUICE_MAX_EGRESS];
	__u8 mac[6];               /* of the device, for forward: fib */
	__u8 check_mac;
	__u8 loss_bypass;          /* 1: some transition wants bypass_on_loss */
};

/* Records of the events ring buffer. */
enum sluice_event_kind { SLUICE_EVENT_WAKE = 1, SLUICE_EVENT_VERDICT };

#define SLUICE_TC_INDEX 0x5107 /* skb->tc_index of frames that a tc program of a fast port has admitted */

#define SLUICE_EVENT_FRAME 128 /* first bytes of the frame that an event carries */

struct sluice_event {
	__u32 kind;
	__u32 cpu;
	__u64 time_ns;
	__u32 ingress_port, egress_port;
	__u32 class_id, bucket;
	__u32 outcome;             /* enum sluice_outcome */
	__u32 length;              /* wire bytes */
	__u64 delay_ns;            /* phantom */
	__u64 ring_delay_ns;       /* predicted for the TX ring */
	__u8 src[16], dst[16];     /* IPv4 in the first 4 bytes */
	__u16 sport, dport;        /* host order */
	__u8 family, proto, dscp, ecn;
	__u64 ring_sojourn_ns;     /* age of the frame at the head of the ring that this CPU feeds, at its last bulk */
	__u32 ring, ring_size, ring_occupancy; /* that ring: index, descriptors, descriptors in use */
	__u32 frame_length;        /* bytes of the frame as received */
	__u32 captured;            /* valid bytes of frame[], the rest is undefined */
	__u32 reserved;
	__u8 frame[SLUICE_EVENT_FRAME]; /* as received: before TTL, MAC addresses or CE were written */
};
SLUICE_SIZE(sluice_event, 256);

#endif
