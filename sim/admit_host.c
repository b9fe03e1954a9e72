#include "admit_host.h"

#include <sluice/admit.bpf.h>

#define HZ 250

__thread __u64 host_now_ns, host_jiffies;
static __thread const struct sim_maps *current;
static __thread __u64 random_state = 1;

/* xorshift64: the same numbers in every run. */
__u32 host_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (__u32)(random_state >> 16);
}

static const struct sim_array *array_of(const void *map)
{
	if (map == &sl_classes)
		return &current->classes;
	if (map == &sl_flows)
		return &current->flows;
	if (map == &sl_class_counts)
		return &current->class_counts;
	if (map == &sl_tx)
		return &current->tx;
	if (map == &sl_ports)
		return &current->ports;
	if (map == &sl_clocks)
		return &current->clocks;
	if (map == &sl_touched)
		return &current->touched;
	return map == &sl_control ? &current->control : 0;
}

void *host_lookup(const void *map, const __u32 *key)
{
	const struct sim_array *a = array_of(map);

	return a && *key < a->entries ? (char *)a->rows + *key * a->row_bytes : 0;
}

int sim_admit(const struct sim_maps *maps, const struct sim_frame *frame, __u64 now_ns, struct sim_verdict *verdict)
{
	struct sluice_request q = {
		.port = frame->port,
		.class_id = frame->class_id,
		.hash = sluice_hash_final(sluice_hash_mix(0, frame->hash)),
		.wire = frame->wire,
		.cpus = 1,
		.ect = frame->ect,
		.l4s = frame->l4s,
	};
	struct sluice_answer a = {0};
	int err;

	current = maps;
	host_now_ns = now_ns;
	host_jiffies = now_ns / (1000000000 / HZ);
	err = sluice_admit(&q, &a);
	*verdict = (struct sim_verdict){a.outcome, a.delay_ns, a.ring_ns};
	return err;
}
