// Two tc programs of the lab, independent of everything that sluice measures itself.
// stamp_source: egress of the source's veth; notes when each frame was sent into the router.
// count_stack: egress of the slow TAP; counts the frames that the router's own stack sends there, which XDP
// redirects are not part of. Both let every frame pass (TC_ACT_UNSPEC: later filters still run).
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

#include "frame_key.h"
#include "stack_count.h"

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, FRAME_KEY_SLOTS);
    __type(key, __u32);
    __type(value, struct frame_stamp);
} stamps SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct stack_count);
} stack_counts SEC(".maps");

const volatile __u8 source_ipv4[4];
const volatile __u8 source_ipv6[16];

static __always_inline int load_head(struct __sk_buff *skb, __u8 *head) {
    __u32 len = skb->len;
    if (len > FRAME_KEY_BYTES)
        len = FRAME_KEY_BYTES;
    if (len < 14)
        return -1;
    return bpf_skb_load_bytes(skb, 0, head, len);
}

SEC("tc")
int stamp_source(struct __sk_buff *skb) {
    __u8 head[FRAME_KEY_BYTES] = {};
    if (load_head(skb, head) < 0)
        return TC_ACT_UNSPEC;
    struct frame_identity id = frame_identify(head);
    __u64 now = bpf_ktime_get_ns();
    __u32 segments = skb->gso_segs ? skb->gso_segs : 1;
    __u32 size = skb->gso_size;
    for (__u32 i = 0; i < 64 && i < segments; i++) {
        __u64 key = frame_key(&id, i, size);
        __u32 slot = key >> 1 & (FRAME_KEY_SLOTS - 1);
        struct frame_stamp *stamp = bpf_map_lookup_elem(&stamps, &slot);
        if (!stamp)
            break;
        stamp->time_ns = now;
        stamp->key = key;
    }
    return TC_ACT_UNSPEC;
}

static __always_inline int same(const __u8 *a, const volatile __u8 *b, int n) {
    for (int i = 0; i < n; i++)
        if (a[i] != b[i])
            return 0;
    return 1;
}

SEC("tc")
int count_stack(struct __sk_buff *skb) {
    __u8 head[FRAME_KEY_BYTES] = {};
    __u32 zero = 0;
    struct stack_count *count = bpf_map_lookup_elem(&stack_counts, &zero);
    if (!count || load_head(skb, head) < 0)
        return TC_ACT_UNSPEC;
    __u32 segments = skb->gso_segs ? skb->gso_segs : 1;
    __sync_fetch_and_add(&count->frames, segments);
    __u16 type = frame_be16(head + 12);
    if ((type == 0x0800 && same(head + 26, source_ipv4, 4)) ||
        (type == 0x86dd && same(head + 22, source_ipv6, 16)))
        __sync_fetch_and_add(&count->frames_of_source, segments);
    return TC_ACT_UNSPEC;
}

char LICENSE[] SEC("license") = "GPL";
