/* Stands in for libbpf's header when the steps of bpf_ingress/ are compiled for the host: maps are memory. */
#pragma once

#include <linux/types.h>

#define SEC(name)
#define __uint(name, val) int(*name)[val]
#define __type(name, val) __typeof__(val) *name
#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif
#ifndef __noinline
#define __noinline __attribute__((noinline))
#endif

struct bpf_fib_lookup;
struct xdp_md;

void *host_lookup(const void *map, const void *key);
long host_fib_lookup(struct bpf_fib_lookup *fib);

#define bpf_map_lookup_elem(map, key) host_lookup(map, key)
long host_adjust_head(struct xdp_md *ctx, int delta);

#define bpf_xdp_adjust_head(ctx, delta) host_adjust_head(ctx, delta)
#define bpf_fib_lookup(ctx, fib, size, flags) host_fib_lookup(fib)
#define bpf_xdp_get_buff_len(ctx) ((ctx)->data_end - (ctx)->data)
#define bpf_ktime_get_ns() 0
#define bpf_jiffies64() 0
#define bpf_get_prandom_u32() 0
#define bpf_xdp_load_bytes(ctx, offset, to, bytes) (-1L)
#define bpf_redirect_map(map, key, flags) XDP_REDIRECT
