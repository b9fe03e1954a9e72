/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Virtual-time arithmetic of the phantom scheduler, used per packet in BPF and per tick in the controller.
 *
 * A class has one virtual clock: vt(now) = bytes of service that each backlogged flow has had. A flow carries the
 * virtual time at which its last admitted byte will be served (`finish`). Their difference, the lag, is the flow's
 * phantom backlog; lag / per-flow rate is the phantom delay, "how long would you wait?". See docs/architecture.md.
 * Pure functions: no clock, no map, no division, no loop.
 */
#ifndef SLUICE_PHANTOM_H
#define SLUICE_PHANTOM_H

#include "abi.h"

#ifndef SLUICE_INLINE
#define SLUICE_INLINE static inline __attribute__((always_inline))
#endif

#define SLUICE_RATE_SHIFT 32    /* sluice_share.bytes_per_ns */
#define SLUICE_INVERSE_SHIFT 20 /* sluice_share.ns_per_byte */

/* Extrapolation of vt stops here: a rate of 2^6 bytes/ns (500 Gbit/s) times this many ns still fits 64 bits. */
#define SLUICE_HORIZON_NS (1ull << 25)

/* Virtual time at `now_ns`, at most one horizon after the last publication. Time going backwards counts as no time:
 * CPUs share clocks, and a cached one may be older than t0. */
SLUICE_INLINE __u64 sluice_vt(const struct sluice_share *s, __u64 now_ns)
{
	__u64 elapsed = now_ns - s->t0_ns;

	if ((__s64)elapsed < 0)
		elapsed = 0;
	if (elapsed > SLUICE_HORIZON_NS)
		elapsed = SLUICE_HORIZON_NS;
	return s->vt0 + ((elapsed * s->bytes_per_ns) >> SLUICE_RATE_SHIFT);
}

/* Phantom backlog of a flow in bytes. */
SLUICE_INLINE __u64 sluice_lag(__u64 finish, __u64 vt)
{
	return (__s64)(finish - vt) > 0 ? finish - vt : 0;
}

/* How long ago a flow's last frame went its way, in ticks of sluice_flow.away. None where that seems to lie ahead: another
 * CPU wrote it, whose clock may be newer by a jiffy (sluice_now() in admit.bpf.h). */
#define SLUICE_CLOCKS_APART 128 /* ticks, 17 ms */
SLUICE_INLINE __u32 sluice_away_age(__u16 away, __u64 now)
{
	__u32 age = (SLUICE_AWAY_TICK(now) - away) & SLUICE_AWAY_TICK(~0ull);

	return age > SLUICE_AWAY_TICK(~0ull) - SLUICE_CLOCKS_APART ? 0 : age;
}

/* Phantom delay in ns. Exact while lag <= limit_bytes of a share whose limit is at most 2^40 ns. */
SLUICE_INLINE __u64 sluice_delay_ns(const struct sluice_share *s, __u64 lag)
{
	return (lag * s->ns_per_byte) >> SLUICE_INVERSE_SHIFT;
}

/* New finish of a flow that is charged `bytes`; an idle flow starts at vt: unused service is not saved up. */
SLUICE_INLINE __u64 sluice_charge(__u64 finish, __u64 vt, __u32 bytes)
{
	return vt + sluice_lag(finish, vt) + bytes;
}

/* Bytes on the wire of a frame of `length` bytes: framing, minimum size, ATM cells. */
SLUICE_INLINE __u32 sluice_wire_bytes(const struct sluice_port *p, __u32 length)
{
	__u32 n = length + p->overhead;

	if (n < p->mpu)
		n = p->mpu;
	return p->cells ? (n + 47) / 48 * 53 : n;
}

#endif
