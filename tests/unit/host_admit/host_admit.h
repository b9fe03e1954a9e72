/* The admission law of include/sluice/admit.bpf.h, compiled for the host from the very same text: for the closed-loop
 * simulator, and as the other side of "same input, same verdict". One CPU, maps in ordinary memory. */
#pragma once

#include <sluice/abi.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HOST_CLASSES 256 /* of one generation */

struct host_maps {
	struct sluice_control control[1];
	struct sluice_port ports[SLUICE_MAX_PORTS];
	struct sluice_class classes[2 * HOST_CLASSES];
	struct sluice_flow_set flows[SLUICE_LEAST_FLOWS / SLUICE_FLOW_WAYS];
	__u64 touched[SLUICE_LEAST_FLOWS / 64];
	struct sluice_clock clocks[1];
	struct sluice_class_count class_counts[2 * HOST_CLASSES];
	struct sluice_tx tx[SLUICE_MAX_PORTS];
	struct sluice_delays delays[2 * HOST_CLASSES];
};

struct host_request {
	__u32 port, class_id, hash, wire, ect, l4s, shadow;
};
struct host_answer {
	__u32 outcome, bucket;
	__u64 delay_ns, ring_ns;
};

/* sluice_admit() on `maps` at `now_ns`, with a clock that is read for each frame. Returns what sluice_admit() does. */
int host_admit(struct host_maps *maps, const struct host_request *request, __u64 now_ns, struct host_answer *answer);

#ifdef __cplusplus
}
#endif
