#include "host_admit.h"

#include <sluice/admit.bpf.h>

__thread __u64 host_now_ns, host_jiffies;
static __thread struct host_maps *current;
static __thread __u64 random_state = 1;

/* xorshift64: the same numbers in every run. */
__u32 host_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (__u32)(random_state >> 16);
}

#define ROW(map, memory) {&map, memory, sizeof(*(memory)), sizeof(memory) / sizeof(*(memory))}

void *host_lookup(const void *map, const __u32 *key)
{
	const struct {
		const void *map;
		void *memory;
		__u64 size, entries;
	} rows[] = {
		ROW(sl_control, current->control), ROW(sl_ports, current->ports),
		ROW(sl_classes, current->classes), ROW(sl_flows, current->flows),
		ROW(sl_touched, current->touched), ROW(sl_clocks, current->clocks),
		ROW(sl_class_counts, current->class_counts), ROW(sl_tx, current->tx),
		ROW(sl_delays, current->delays),
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (rows[i].map == map)
			return *key < rows[i].entries ? (char *)rows[i].memory + *key * rows[i].size : 0;
	return 0;
}

int host_admit(struct host_maps *maps, const struct host_request *request, __u64 now_ns, struct host_answer *answer)
{
	struct sluice_request q = {
		.port = request->port, .class_id = request->class_id, .hash = request->hash, .wire = request->wire,
		.cpus = 1, .ect = request->ect, .l4s = request->l4s, .shadow = request->shadow,
	};
	struct sluice_answer a = {0};
	int err;

	current = maps;
	host_now_ns = now_ns;
	maps->clocks[0].left = 0;
	maps->control[0].flow_mask = SLUICE_LEAST_FLOWS / SLUICE_FLOW_WAYS - 1;
	err = sluice_admit(&q, &a);
	if (!err)
		sluice_note_redirect(&q, &a);
	*answer = (struct host_answer){a.outcome, a.bucket, a.delay_ns, a.ring_ns};
	return err;
}
