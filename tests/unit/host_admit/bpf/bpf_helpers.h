/* Stands in for libbpf's header when admit.bpf.h is compiled for the host: maps are memory, the clock is a variable. */
#pragma once

#include <linux/types.h>

#define SEC(name)
#define __uint(name, val) int(*name)[val]
#define __type(name, val) __typeof__(val) *name

void *host_lookup(const void *map, const __u32 *key);
__u32 host_random(void);
extern __thread __u64 host_now_ns, host_jiffies;

#define bpf_map_lookup_elem(map, key) host_lookup(map, key)
#define bpf_ktime_get_ns() (host_now_ns)
#define bpf_jiffies64() (host_jiffies)
#define bpf_get_prandom_u32() (host_random())
