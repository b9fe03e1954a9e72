// Frames of any kind through the parser, the classifier and the actions of the ingress program, compiled for
// the host: no byte is read or written outside the frame, checksums that were right stay right, and the class
// is the one that `explain` tells. The first byte picks the policy; the rest is the frame.
#include <algorithm>
#include <cstring>
#include <vector>

#include <sanitizer/asan_interface.h>
#include <sys/mman.h>

#include "fuzz.hpp"
#include "host_ingress/host_ingress.h"
#include "packet.hpp"
#include "policy/compile.hpp"
#include "policy/load.hpp"
#include "policy/match.hpp"

namespace sluice::fuzz {
namespace {

constexpr size_t kMostBytes = 4096;

const char *const kPolicies[] = {
    R"(
    isolate: triple-isolate
    tenants:
      by: dst
      list:
        - {name: a, match: [10.2.0.0/24, "fd02::/64"]}
        - {name: b, match: 10.2.0.128/25}
    classes:
      - {name: voice, match: [{dscp: [ef, cs5]}]}
      - {name: nets, match: [{dst: [10.2.0.128/26, "fd02::1:0/112"], src: 10.1.0.0/16}]}
      - {name: web, match: [{proto: tcp, dport: 80-90}, {proto: udp, dport: 443}]}
      - {name: small, match: [{length: 0-120, proto: udp}]}
      - {name: tagged, match: [{vlan: 5-7}, {pcp: [3, 4]}]}
      - {name: default}
)",
    R"(
    isolate: dual-srchost
    tenants: {by: vlan, list: [{name: a, match: 5}, {name: b, match: [7, 9]}]}
    classes:
      - {name: high, match: [{proto: udp, sport: 1024-65535}, {proto: sctp}]}
      - {name: default}
)",
    R"(
    isolate: hosts
)",
};

struct World {
    CompiledPolicy policy;
    host_tables tables{};
    std::vector<host_prefix> prefixes;
};

World make(const char *rest, bool xconnect) {
    World w;
    auto loaded =
        load_policy_text(std::string("version: 1\nports: {lan: {device: fast}, wan: {device: slow}}\n"
                                     "transitions:\n  - from: [lan]\n    to: wan\n    forward: ") +
                             (xconnect ? "xconnect" : "fib") + rest,
                         "fuzz.yaml");
    require(loaded.policy.has_value(), "the policies of this target are right");
    w.policy = compile(std::move(*loaded.policy));
    const CompiledTransition &t = w.policy.transitions[0];
    w.tables.transition = t.image;
    for (const auto &p : t.prefixes)
        w.prefixes.push_back({p.key, p.value});
    w.tables.prefix_count = static_cast<uint32_t>(w.prefixes.size());
    w.tables.port.mtu = 1500;
    w.tables.config.xconnect = xconnect;
    w.tables.config.rules = 1;
    w.tables.config.egress_count = 1;
    w.tables.config.egress_ifindex[0] = HOST_SLOW;
    w.tables.config.seed[0] = 4711;
    return w;
}

std::vector<World> &worlds() {
    static std::vector<World> all = [] {
        std::vector<World> made;
        for (const char *policy : kPolicies)
            for (const bool xconnect : {false, true})
                made.push_back(make(policy, xconnect));
        for (auto &w : made)
            w.tables.prefixes = w.prefixes.data();
        return made;
    }();
    return all;
}

// A page in the first 2 GiB. Everything around the frame is poisoned.
uint8_t *frame_memory() {
    static auto *memory = static_cast<uint8_t *>(mmap(nullptr, 3 * kMostBytes, PROT_READ | PROT_WRITE,
                                                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0));
    require(memory != MAP_FAILED, "there is memory below 2 GiB");
    return memory;
}

void check_class(const World &w, const host_packet &p, const progrun::Frame &frame) {
    PacketKey key;
    key.in = "lan";
    key.family = p.family;
    key.proto = p.proto;
    key.dscp = p.dscp;
    key.has_ports = p.has_ports;
    key.sport = p.sport;
    key.dport = p.dport;
    key.length = static_cast<uint16_t>(std::min<uint32_t>(p.length - 4u * p.tagged, 0xffff));
    if (p.tagged) {
        key.vlan = p.tci & 0xfff;
        key.pcp = static_cast<uint8_t>(p.tci >> 13);
    }
    const size_t at = p.l3_offset + (p.family == 4 ? 12u : 8u), bytes = p.family == 4 ? 4 : 16;
    if (p.family) {
        std::copy_n(frame.begin() + static_cast<ptrdiff_t>(at), bytes, key.src.begin());
        std::copy_n(frame.begin() + static_cast<ptrdiff_t>(at + bytes), bytes, key.dst.begin());
    }
    const auto found = match(w.policy.source.transitions[0], key);
    const auto &t = w.policy.transitions[0];
    require(p.class_id == t.class_id(found.tenant, found.class_index),
            "the class is the one that explain tells");
}

} // namespace
} // namespace sluice::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    using namespace sluice;
    using namespace sluice::fuzz;
    if (size < 2 || size > kMostBytes)
        return 0;
    World &world = worlds()[data[0] % worlds().size()];
    const progrun::Frame before(data + 1, data + size);
    uint8_t *memory = frame_memory(), *frame = memory + kMostBytes;
    ASAN_UNPOISON_MEMORY_REGION(memory, 3 * kMostBytes);
    std::memcpy(frame, before.data(), before.size());
    ASAN_POISON_MEMORY_REGION(memory, kMostBytes);
    ASAN_POISON_MEMORY_REGION(frame + before.size(), 2 * kMostBytes - before.size());

    host_packet packet{};
    const auto begin = static_cast<uint32_t>(reinterpret_cast<uintptr_t>(frame));
    const uint32_t outcome =
        host_ingress(&world.tables, begin, begin + static_cast<uint32_t>(before.size()), &packet);
    const progrun::Frame after(outcome == SLUICE_FORWARD ? memory + (packet.begin - (begin - kMostBytes))
                                                         : frame,
                               frame + before.size());
    require(outcome < SLUICE_OUTCOMES, "one of the known outcomes");
    if (outcome != SLUICE_FORWARD) {
        require(after == before, "a frame that is not forwarded is not touched");
        return 0;
    }
    check_class(world, packet, before);
    require(progrun::l2_payload(after) == 14u + 4u * packet.exit_tagged, "the VLAN tags of the way out");
    require(after.size() - progrun::l2_payload(after) == before.size() - progrun::l2_payload(before),
            "the packet is all there");
    require(progrun::ipv4_checksum_right(after) == progrun::ipv4_checksum_right(before),
            "a right checksum stays right, and a wrong one is not made good");
    return 0;
}
