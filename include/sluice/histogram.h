/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Histograms of delays: one bucket per power of two, cheap enough for the packet path and fine enough for a quantile on
 * a logarithmic scale. Pure function; who counts where is said in abi.h.
 */
#ifndef SLUICE_HISTOGRAM_H
#define SLUICE_HISTOGRAM_H

#include "abi.h"

#ifndef SLUICE_INLINE
#define SLUICE_INLINE static inline __attribute__((always_inline))
#endif

/* Bucket i holds delays of at most 2^(SLUICE_DELAY_SHIFT + i) ns: 4 us, 8 us, ... 1.07 s; the last one the rest. */
#define SLUICE_DELAY_SHIFT 12

/* Below SLUICE_DELAY_BUCKETS, which the caller checks all the same. */
SLUICE_INLINE __u32 sluice_delay_bucket(__u64 ns)
{
	__u64 v = ns ? (ns - 1) >> SLUICE_DELAY_SHIFT : 0;
	__u32 bucket = 0;

	if (v >> (SLUICE_DELAY_BUCKETS - 2))
		return SLUICE_DELAY_BUCKETS - 1;
	/* Position of the highest bit of an 18-bit number, plus one. */
	if (v >> 16) {
		bucket += 16;
		v >>= 16;
	}
	if (v >> 8) {
		bucket += 8;
		v >>= 8;
	}
	if (v >> 4) {
		bucket += 4;
		v >>= 4;
	}
	if (v >> 2) {
		bucket += 2;
		v >>= 2;
	}
	bucket += v >> 1 ? 2 : v;
	__asm__ volatile("" : "+r"(bucket)); /* the caller's bounds check is for the verifier, not for the compiler to drop */
	return bucket;
}

#endif
