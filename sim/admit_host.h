/* include/sluice/admit.bpf.h, compiled for the host from the very same text, over memory that somebody else owns: here
 * the maps of sluice's own control loop. One CPU. */
#pragma once

#include <sluice/abi.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A BPF array map as memory. */
struct sim_array {
	void *rows;
	__u64 row_bytes, entries;
};

struct sim_maps {
	struct sim_array control, ports, classes, flows, touched, clocks, class_counts, tx;
};

/* What the simulator knows of a frame. */
struct sim_frame {
	__u32 port;    /* egress port index */
	__u32 class_id;
	__u32 hash;    /* of the 5-tuple, any 32 bits */
	__u32 wire;    /* bytes on the wire */
	__u32 ect, l4s;
};

struct sim_verdict {
	__u32 outcome; /* enum sluice_outcome */
	__u64 delay_ns, ring_ns;
};

/* sluice_admit() at `now_ns`. 0, or -1 when the maps lack a row: a bug of the caller. */
int sim_admit(const struct sim_maps *maps, const struct sim_frame *frame, __u64 now_ns, struct sim_verdict *verdict);

#ifdef __cplusplus
}
#endif
