// The baseline every treatment is compared with: forward by FIB and redirect, nothing else. No admission, no
// queue, no loss accounting; what the egress ring refuses is gone. With a rate it is the policer that people write
// when they want one: a token bucket, blind to flows. Anything that is not a plain forwardable
// IP packet goes to the kernel.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "plain_redirect.h"

#define AF_INET 2
#define AF_INET6 10

struct {
    __uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
    __uint(max_entries, 64);
    __type(key, __u32);
    __type(value, __u32);
} ports SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, PLAIN_OUTCOMES);
    __type(key, __u32);
    __type(value, __u64);
} outcomes SEC(".maps");

const volatile __u64 ns_per_byte = 0; // 20 fraction bits; 0: no policer
const volatile __u64 burst_ns = 0;    // that the bucket holds
const volatile __u32 overhead = 24;   // bytes around an Ethernet frame on the wire

struct bucket {
    struct bpf_spin_lock lock;
    __u64 empty_ns; // when the bucket would be empty of debt, were nothing to come
};
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct bucket);
} buckets SEC(".maps");

// 1 = the frame is beyond what the bucket allows.
static __always_inline int beyond(__u32 bytes) {
    __u32 zero = 0, wire = bytes + overhead < 84 ? 84 : bytes + overhead;
    struct bucket *b = bpf_map_lookup_elem(&buckets, &zero);
    __u64 now = bpf_ktime_get_ns(), cost = (wire * ns_per_byte) >> 20;
    int refused;

    if (!b)
        return 0;
    bpf_spin_lock(&b->lock);
    if ((__s64)(b->empty_ns - now) < 0)
        b->empty_ns = now;
    refused = b->empty_ns + cost > now + burst_ns;
    if (!refused)
        b->empty_ns += cost;
    bpf_spin_unlock(&b->lock);
    return refused;
}

static __always_inline int finish(__u32 outcome, int action) {
    __u64 *n = bpf_map_lookup_elem(&outcomes, &outcome);
    if (n)
        *n += 1;
    return action;
}

static __always_inline int fill_ipv4(const struct iphdr *ip, const void *end, struct bpf_fib_lookup *fib) {
    if ((const void *)(ip + 1) > end || ip->ttl <= 1 || ip->ihl != 5)
        return -1;
    fib->family = AF_INET;
    fib->tos = ip->tos;
    fib->l4_protocol = ip->protocol;
    fib->tot_len = bpf_ntohs(ip->tot_len);
    fib->ipv4_src = ip->saddr;
    fib->ipv4_dst = ip->daddr;
    return 0;
}

static __always_inline int fill_ipv6(const struct ipv6hdr *ip, const void *end, struct bpf_fib_lookup *fib) {
    if ((const void *)(ip + 1) > end || ip->hop_limit <= 1)
        return -1;
    fib->family = AF_INET6;
    fib->l4_protocol = ip->nexthdr;
    fib->tot_len = bpf_ntohs(ip->payload_len) + sizeof(*ip);
    __builtin_memcpy(fib->ipv6_src, &ip->saddr, 16);
    __builtin_memcpy(fib->ipv6_dst, &ip->daddr, 16);
    return 0;
}

static __always_inline void lower_ttl(struct iphdr *ip) {
    __u32 check = ip->check;
    check += bpf_htons(0x0100); // RFC 1624: TTL is the high byte of its word
    ip->check = (__u16)(check + (check >= 0xffff));
    ip->ttl--;
}

SEC("xdp")
int plain_redirect(struct xdp_md *ctx) {
    void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    if ((void *)(eth + 1) > end)
        return finish(PLAIN_PASS_OTHER, XDP_PASS);
    struct bpf_fib_lookup fib = {.ifindex = ctx->ingress_ifindex};
    int bad = eth->h_proto == bpf_htons(ETH_P_IP)     ? fill_ipv4((void *)(eth + 1), end, &fib)
              : eth->h_proto == bpf_htons(ETH_P_IPV6) ? fill_ipv6((void *)(eth + 1), end, &fib)
                                                      : -1;
    if (bad)
        return finish(PLAIN_PASS_OTHER, XDP_PASS);
    if (bpf_fib_lookup(ctx, &fib, sizeof(fib), 0) != BPF_FIB_LKUP_RET_SUCCESS)
        return finish(PLAIN_PASS_FIB, XDP_PASS);
    if (!bpf_map_lookup_elem(&ports, &fib.ifindex))
        return finish(PLAIN_PASS_FIB, XDP_PASS);
    if (ns_per_byte && beyond(end - data))
        return finish(PLAIN_POLICED, XDP_DROP);
    if (fib.family == AF_INET) {
        struct iphdr *ip = (void *)(eth + 1);
        if ((void *)(ip + 1) > end)
            return finish(PLAIN_PASS_OTHER, XDP_PASS);
        lower_ttl(ip);
    } else {
        struct ipv6hdr *ip = (void *)(eth + 1);
        if ((void *)(ip + 1) > end)
            return finish(PLAIN_PASS_OTHER, XDP_PASS);
        ip->hop_limit--;
    }
    __builtin_memcpy(eth->h_dest, fib.dmac, ETH_ALEN);
    __builtin_memcpy(eth->h_source, fib.smac, ETH_ALEN);
    return finish(PLAIN_REDIRECT, bpf_redirect_map(&ports, fib.ifindex, 0));
}

char LICENSE[] SEC("license") = "GPL";
