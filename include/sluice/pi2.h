/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * PI2 (RFC 9332 section 2.4, RFC 8033 section 4.2) as an admission law: a proportional-integral controller moves one
 * probability so that the delay settles at the target; scalable (L4S) packets are marked with twice that probability,
 * classic ones signalled with its square, which makes both kinds of flow take equal rates. Updated by the first
 * packet that finds an update due. The caller brings the random numbers.
 */
#ifndef SLUICE_PI2_H
#define SLUICE_PI2_H

#include "phantom.h"

#define SLUICE_PI2_MOST_UPDATES 8 /* that one packet makes up for */

/* gain (16 fraction bits, per second) * ns as a probability with 32 fraction bits: 1e9 / 2^16 = 15259. */
SLUICE_INLINE __u64 sluice_pi2_step(__u32 gain, __u64 ns)
{
	if (ns > 1000000000)
		ns = 1000000000;
	return gain * ns / 15259;
}

SLUICE_INLINE void sluice_pi2_add(struct sluice_pi2 *s, __u64 amount)
{
	__u64 sum = s->probability + amount;

	s->probability = sum > 0xffffffff ? 0xffffffff : (__u32)sum;
}

SLUICE_INLINE void sluice_pi2_subtract(struct sluice_pi2 *s, __u64 amount)
{
	s->probability = amount > s->probability ? 0 : s->probability - (__u32)amount;
}

/* Alpha counts once per update interval that has passed, beta once. */
SLUICE_INLINE void sluice_pi2_update(struct sluice_pi2 *s, const struct sluice_pi2_params *p, __u64 delay_ns,
				     __u64 now_ns)
{
	__u64 elapsed = now_ns - s->updated_ns, updates = 1;

	if ((__s64)elapsed < (__s64)p->update_ns)
		return;
	if (elapsed >= SLUICE_PI2_MOST_UPDATES * p->update_ns)
		updates = SLUICE_PI2_MOST_UPDATES;
	else if (elapsed >= 4 * p->update_ns)
		updates = 4;
	else if (elapsed >= 2 * p->update_ns)
		updates = 2;
	if (delay_ns > p->target_ns)
		sluice_pi2_add(s, updates * sluice_pi2_step(p->alpha, delay_ns - p->target_ns));
	else
		sluice_pi2_subtract(s, updates * sluice_pi2_step(p->alpha, p->target_ns - delay_ns));
	if (delay_ns > s->delay_ns)
		sluice_pi2_add(s, sluice_pi2_step(p->beta, delay_ns - s->delay_ns));
	else
		sluice_pi2_subtract(s, sluice_pi2_step(p->beta, s->delay_ns - delay_ns));
	s->delay_ns = delay_ns;
	s->updated_ns = now_ns;
}

/* Returns 1 when the packet shall be signalled. `random`: 64 fresh bits. */
SLUICE_INLINE int sluice_pi2_signal(const struct sluice_pi2 *s, int scalable, __u64 random)
{
	__u32 first = (__u32)random, second = (__u32)(random >> 32);

	if (scalable)
		return s->probability > first / 2; /* 2 p */
	return s->probability > first && s->probability > second;
}

#endif
