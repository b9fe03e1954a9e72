// Identity of a frame that survives forwarding: the same 64-bit key for the frame as its source sent it and
// as the slow link receives it. TTL, DSCP/ECN, MAC addresses, checksums and the TCP fields that differ
// between the segments of one GSO frame are left out; the TCP sequence number enters last, so that a
// sender-side program can key every segment of a GSO frame. Pure C, compiled for BPF and C++.
#pragma once

#include <linux/types.h>

#define FRAME_KEY_BYTES 128       // header bytes that the parser may look at; shorter frames are zero padded
#define FRAME_KEY_SLOTS (1 << 19) // direct-mapped table of stamps, indexed by the low bits of the key

// One slot of the stamp table; written by the BPF program at the source, read by slowlink through mmap.
struct frame_stamp {
    __u64 key;     // 0 = never written
    __u64 time_ns; // CLOCK_MONOTONIC
};

// Where a frame belongs; addresses are folded to 64 bits, ports in network order.
struct frame_identity {
    __u64 base;      // key material without the TCP sequence number
    __u64 addresses; // folded source and destination
    __u32 seq;       // TCP sequence number, host order; 0 otherwise
    __u32 payload;   // L4 payload bytes by the IP length; 0 for a GSO frame's unknown parts
    __u16 sport, dport;
    __u8 proto;  // IP protocol; 0 for a frame that is not IP
    __u8 family; // 4, 6 or 0
    __u8 tcp_flags;
    __u8 reserved;
};

static inline __attribute__((always_inline)) __u64 frame_mix(__u64 h, __u64 v) {
    h = (h ^ v) * 0x9E3779B97F4A7C15ULL;
    return h ^ (h >> 29);
}

static inline __attribute__((always_inline)) __u32 frame_be32(const __u8 *p) {
    return (__u32)p[0] << 24 | (__u32)p[1] << 16 | (__u32)p[2] << 8 | p[3];
}

static inline __attribute__((always_inline)) __u16 frame_be16(const __u8 *p) {
    return (__u16)(p[0] << 8 | p[1]);
}

// Mixes `words` 32-bit words at p.
static inline __attribute__((always_inline)) __u64 frame_mix_words(__u64 h, const __u8 *p, int words) {
    for (int i = 0; i < words; i++)
        h = frame_mix(h, frame_be32(p + 4 * i));
    return h;
}

static inline __attribute__((always_inline)) void frame_parse_l4(const __u8 *l4, struct frame_identity *id) {
    id->sport = frame_be16(l4);
    id->dport = frame_be16(l4 + 2);
    if (id->proto == 6) {
        id->seq = frame_be32(l4 + 4);
        id->tcp_flags = l4[13];
        __u32 header = (l4[12] >> 4) * 4u;
        id->payload = id->payload > header ? id->payload - header : 0;
        id->base = frame_mix_words(id->base, l4, 1);     // ports
        id->base = frame_mix_words(id->base, l4 + 8, 1); // ack
        id->base =
            frame_mix_words(id->base, l4 + 20, 3); // usually NOP NOP timestamps: tells retransmissions apart
        return;
    }
    id->base = frame_mix_words(id->base, l4, 1);
    id->base =
        frame_mix(id->base, id->proto == 17 ? frame_be16(l4 + 4) : frame_be32(l4 + 4)); // not the checksum
    id->base = frame_mix_words(id->base, l4 + 8, 4);
    id->payload = id->proto == 17 && id->payload > 8 ? id->payload - 8 : id->payload;
}

// `frame`: FRAME_KEY_BYTES readable bytes from the Ethernet header on. Skips up to two VLAN tags.
static inline __attribute__((always_inline)) struct frame_identity frame_identify(const __u8 *frame) {
    struct frame_identity id = {};
    __u32 l3 = 14;
    __u16 type = frame_be16(frame + 12);
    for (int i = 0; i < 2; i++) {
        if (type == 0x8100 || type == 0x88a8) {
            type = frame_be16(frame + l3 + 2);
            l3 += 4;
        }
    }
    const __u8 *ip = frame + l3;
    if (type == 0x0800) {
        __u32 header = (ip[0] & 15u) * 4u;
        id.family = 4;
        id.proto = ip[9];
        id.payload = frame_be16(ip + 2) - header;
        id.addresses = frame_mix_words(0, ip + 12, 2);
        id.base = frame_mix(id.addresses, id.proto);
        if (id.proto != 6)
            id.base = frame_mix(id.base, frame_be32(ip + 4)); // IP id and fragment offset
        frame_parse_l4(ip + header, &id);
    } else if (type == 0x86dd) {
        id.family = 6;
        id.proto = ip[6];
        id.payload = frame_be16(ip + 4);
        id.addresses = frame_mix_words(0, ip + 8, 8);
        id.base = frame_mix(id.addresses, id.proto);
        frame_parse_l4(ip + 40, &id);
    }
    return id;
}

// Key of segment `segment` (0 for a plain frame) of a frame cut every `gso_size` payload bytes. Never 0.
static inline __attribute__((always_inline)) __u64 frame_key(const struct frame_identity *id, __u32 segment,
                                                             __u32 gso_size) {
    return frame_mix(id->base, id->seq + segment * gso_size) | 1;
}
