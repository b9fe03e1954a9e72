/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * CoDel (RFC 8289, section 5) as an admission law: a delay goes in, "signal this packet" comes out. The same text
 * runs in BPF, in unit tests and in the controller. Differences from the RFC's dequeue loop: one signal per arriving
 * packet at most, and times are the caller's.
 */
#ifndef SLUICE_CODEL_H
#define SLUICE_CODEL_H

#include "phantom.h"

/* interval / sqrt(count), from a table of 2^16/sqrt(n); larger counts by 1/sqrt(4n) = 1/sqrt(n) / 2. Error < 4 %
 * up to count 2^14, where it stops shrinking (interval / 128). */
SLUICE_INLINE __u64 sluice_codel_step(__u64 interval_ns, __u32 count)
{
	static const __u32 inverse_sqrt[64] = {
		65536, 65536, 46341, 37837, 32768, 29309, 26755, 24770, 23170, 21845, 20724, 19760, 18919,
		18176, 17515, 16921, 16384, 15895, 15447, 15035, 14654, 14301, 13972, 13665, 13377, 13107,
		12853, 12612, 12385, 12170, 11965, 11771, 11585, 11408, 11239, 11078, 10923, 10774, 10631,
		10494, 10362, 10235, 10112, 9994,  9880,  9770,  9663,  9559,  9459,  9362,  9268,  9177,
		9088,  9002,  8918,  8837,  8757,  8680,  8605,  8532,  8461,  8391,  8323,  8257,
	};
	__u32 halvings = 0;

	if (count > 16383)
		count = 16383;
	if (count >= 1024) {
		count >>= 4;
		halvings = 2;
	}
	if (count >= 256) {
		count >>= 4;
		halvings += 2;
	} else if (count >= 64) {
		count >>= 2;
		halvings += 1;
	}
	return ((interval_ns * inverse_sqrt[count & 63]) >> 16) >> halvings;
}

/* `delay_ns` is the delay this packet would see; `now_ns` never runs backwards by more than a bulk. Returns 1 when
 * the packet shall be signalled: marked if it can be, dropped otherwise. */
SLUICE_INLINE int sluice_codel_signal(struct sluice_codel *s, const struct sluice_codel_params *p, __u64 delay_ns,
				      __u64 now_ns)
{
	__u32 delta;

	if (delay_ns <= p->target_ns) {
		s->first_above_ns = 0;
		s->dropping = 0;
		return 0;
	}
	if (!s->first_above_ns) {
		s->first_above_ns = now_ns + p->interval_ns;
		return 0;
	}
	if ((__s64)(now_ns - s->first_above_ns) < 0)
		return 0;
	if (s->dropping) {
		if ((__s64)(now_ns - s->next_ns) < 0)
			return 0;
		s->count += s->count < 0xffff;
		s->next_ns += sluice_codel_step(p->interval_ns, s->count);
		return 1;
	}
	/* Enter the dropping phase; soon after the last one, at a rate close to the one that held then. */
	delta = s->count - s->last_count;
	s->dropping = 1;
	s->count = delta > 1 && (__s64)(now_ns - s->next_ns) < (__s64)(16 * p->interval_ns) ? delta : 1;
	s->last_count = (__u16)s->count;
	s->next_ns = now_ns + sluice_codel_step(p->interval_ns, s->count);
	return 1;
}

#endif
