#include "packet.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <cstddef>

namespace sluice::progrun {
namespace {

void put16(Frame &f, size_t at, uint32_t v) {
    f[at] = static_cast<uint8_t>(v >> 8);
    f[at + 1] = static_cast<uint8_t>(v);
}
uint32_t get16(const Frame &f, size_t at) {
    return static_cast<uint32_t>(f[at] << 8 | f[at + 1]);
}
void append16(Frame &f, uint32_t v) {
    f.push_back(static_cast<uint8_t>(v >> 8));
    f.push_back(static_cast<uint8_t>(v));
}
void append(Frame &f, const void *data, size_t n) {
    const auto *p = static_cast<const uint8_t *>(data);
    f.insert(f.end(), p, p + n);
}

void append_tags(Frame &f, int tags) {
    if (tags == 2)
        append(f, "\x88\xa8\x00\x07", 4);
    if (tags >= 1)
        append(f, "\x81\x00\x00\x05", 4);
}

uint16_t checksum(const Frame &f, size_t from, size_t bytes) {
    uint32_t sum = 0;
    for (size_t i = 0; i < bytes; i += 2)
        sum += i + 1 < bytes ? get16(f, from + i) : static_cast<uint32_t>(f[from + i]) << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<uint16_t>(~sum);
}

void append_address(Frame &f, int family, const std::string &text) {
    uint8_t raw[16] = {};
    inet_pton(family == 4 ? AF_INET : AF_INET6, text.c_str(), raw);
    append(f, raw, family == 4 ? 4 : 16);
}

Frame transport(const FrameSpec &s) {
    Frame f;
    if (s.fragment) {
        f.assign(8, 0xee);
    } else if (s.proto == Proto::none) {
    } else if (s.proto == Proto::icmp || s.proto == Proto::icmp6) {
        f = {static_cast<uint8_t>(s.proto == Proto::icmp ? 8 : 128), 0, 0, 0, 0, 1, 0, 1};
    } else {
        append16(f, s.sport);
        append16(f, s.dport);
        f.resize(s.proto == Proto::tcp ? 20 : s.proto == Proto::sctp ? 12 : 8);
        if (s.proto == Proto::tcp)
            f[12] = 0x50;
        if (s.proto == Proto::udp)
            put16(f, 4, 8 + s.payload);
    }
    for (uint32_t i = 0; i < s.payload; i++)
        f.push_back(static_cast<uint8_t>(i));
    return f;
}

void append_ipv4(Frame &f, const FrameSpec &s, const Frame &body) {
    const size_t at = f.size(), header = s.options ? 24 : 20;
    f.resize(at + 12);
    f[at] = static_cast<uint8_t>(0x40 | header / 4);
    f[at + 1] = s.tos;
    put16(f, at + 2, static_cast<uint32_t>(header + body.size()));
    put16(f, at + 6, s.fragment ? 0x0064 : s.first_fragment ? 0x2000 : 0x4000);
    f[at + 8] = s.ttl;
    f[at + 9] = static_cast<uint8_t>(s.proto);
    append_address(f, 4, s.src.empty() ? "10.1.0.2" : s.src);
    append_address(f, 4, s.dst.empty() ? "10.2.0.2" : s.dst);
    if (s.options)
        append(f, "\x94\x04\x00\x00", 4); // router alert
    put16(f, at + 10, checksum(f, at, header));
}

void append_ipv6(Frame &f, const FrameSpec &s, const Frame &body) {
    std::vector<uint8_t> chain = s.extensions;
    if (s.options)
        chain.insert(chain.begin(), 0);
    if (s.fragment || s.first_fragment)
        chain.push_back(44);
    const size_t at = f.size();
    f.resize(at + 8);
    f[at] = static_cast<uint8_t>(0x60 | s.tos >> 4);
    f[at + 1] = static_cast<uint8_t>(s.tos << 4 | 0x3);
    put16(f, at + 4, static_cast<uint32_t>(body.size() + chain.size() * 8));
    f[at + 6] = chain.empty() ? static_cast<uint8_t>(s.proto) : chain[0];
    f[at + 7] = s.ttl;
    append_address(f, 6, s.src.empty() ? "fd01::2" : s.src);
    append_address(f, 6, s.dst.empty() ? "fd02::2" : s.dst);
    for (size_t i = 0; i < chain.size(); i++) {
        const uint8_t next = i + 1 < chain.size() ? chain[i + 1] : static_cast<uint8_t>(s.proto);
        // AH counts in 4-byte words: 8 bytes in all are length 0 for both kinds.
        Frame header = {next, 0, 1, 4, 0, 0, 0, 0};
        if (chain[i] == 44)
            put16(header, 2, s.fragment ? 0x0068 : 0x0001);
        append(f, header.data(), header.size());
    }
}

// IP packet; behind what is not IP, `payload` zeros.
void append_packet(Frame &f, const FrameSpec &s) {
    if (s.family == 0) {
        f.resize(f.size() + s.payload);
        return;
    }
    const Frame body = transport(s);
    if (s.family == 4)
        append_ipv4(f, s, body);
    else
        append_ipv6(f, s, body);
    append(f, body.data(), body.size());
}

} // namespace

Frame build(const FrameSpec &s) {
    Frame f;
    append(f, s.dmac.data(), 6);
    append(f, s.smac.data(), 6);
    append_tags(f, s.tags);
    if (s.pppoe)
        append(f, "\x88\x64\x11\x00\x12\x34\x00\x00", 8); // the length comes last
    const size_t session = f.size();
    append16(f, s.pppoe ? (s.family == 4   ? 0x0021
                           : s.family == 6 ? 0x0057
                                           : 0xc021)
                        : (s.family == 4   ? 0x0800
                           : s.family == 6 ? 0x86dd
                                           : 0x0806));
    if (s.family == 0 && s.pppoe) {
        append(f, "\x09\x01\x00\x08\xca\xfe\xf0\x0d", 8);
    } else if (s.family == 0) {
        append(f, "\0\1\x08\0\6\4\0\1", 8);
        f.resize(f.size() + 20);
    }
    append_packet(f, s);
    if (s.pppoe)
        put16(f, session - 2, static_cast<uint32_t>(f.size() - session));
    return f;
}

void retag(Frame &f, int tags) {
    f.erase(f.begin() + 12, f.begin() + static_cast<std::ptrdiff_t>(l2_payload(f)) - 2);
    Frame put;
    append_tags(put, tags);
    f.insert(f.begin() + 12, put.begin(), put.end());
}

size_t l2_payload(const Frame &f) {
    size_t at = 12;
    for (int tags = 0; tags < 2 && at + 6 <= f.size() && (get16(f, at) == 0x8100 || get16(f, at) == 0x88a8);
         tags++)
        at += 4;
    return at + 2;
}

size_t l3_offset(const Frame &f) {
    const size_t at = l2_payload(f);
    return at + 8 <= f.size() && get16(f, at - 2) == 0x8864 ? at + 8 : at;
}

bool ipv4_checksum_right(const Frame &f) {
    const size_t at = l3_offset(f);
    if (at > f.size() || get16(f, at - 2) != (at > l2_payload(f) ? 0x0021 : 0x0800) || f.size() < at + 20)
        return true;
    return checksum(f, at, std::min<size_t>((f[at] & 15) * 4u, f.size() - at)) == 0;
}

void fix_ipv4_checksum(Frame &f, size_t at) {
    put16(f, at + 10, 0);
    put16(f, at + 10, checksum(f, at, (f[at] & 15) * 4u));
}

void set_ce(Frame &f) {
    const size_t at = l3_offset(f);
    if (f[at] >> 4 == 4) {
        f[at + 1] |= 3;
        fix_ipv4_checksum(f, at);
    } else {
        f[at + 1] |= 0x30;
    }
}

void cut_ip(Frame &f, uint32_t bytes) {
    const size_t at = l3_offset(f);
    f.resize(at + bytes);
    if (f[at] >> 4 == 4) {
        put16(f, at + 2, bytes);
        fix_ipv4_checksum(f, at);
    } else {
        put16(f, at + 4, bytes - 40);
    }
}

void route_hop(Frame &f, const Mac &dmac, const Mac &smac) {
    retag(f, 0);
    const size_t at = l3_offset(f);
    std::copy(dmac.begin(), dmac.end(), f.begin());
    std::copy(smac.begin(), smac.end(), f.begin() + 6);
    if (f[at] >> 4 == 4) {
        f[at + 8]--;
        fix_ipv4_checksum(f, at);
    } else {
        f[at + 7]--;
    }
}

} // namespace sluice::progrun
