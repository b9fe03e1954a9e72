#include "dataplane/carry.hpp"

#include <algorithm>
#include <string_view>
#include <unordered_map>

namespace sluice {
namespace {

// FNV-1a, 64 bits: http://www.isthe.com/chongo/tech/comp/fnv/
uint64_t hash_of(std::string_view text) {
    uint64_t h = 0xcbf29ce484222325;
    for (const char c : text)
        h = (h ^ static_cast<uint8_t>(c)) * 0x100000001b3;
    return h;
}

// For structures that are counters only, in words of 64 bits.
template <class T> void add(T &sum, const T &part) {
    static_assert(sizeof(T) % sizeof(uint64_t) == 0);
    auto *to = reinterpret_cast<uint64_t *>(&sum);
    const auto *from = reinterpret_cast<const uint64_t *>(&part);
    for (size_t i = 0; i < sizeof(T) / sizeof(uint64_t); i++)
        to[i] += from[i];
}

void add_tx(sluice_tx &sum, const sluice_tx &part) {
    sum.sent_packets += part.sent_packets;
    sum.sent_bytes += part.sent_bytes;
    sum.admitted_packets += part.admitted_packets;
    sum.slow_packets += part.slow_packets;
    sum.slow_bytes += part.slow_bytes;
    sum.sojourn_ns += part.sojourn_ns;
    for (unsigned i = 0; i < SLUICE_KDROPS; i++)
        sum.drops[i] += part.drops[i];
    for (unsigned i = 0; i < SLUICE_DELAY_BUCKETS; i++)
        sum.sojourn[i] += part.sojourn[i];
}

struct ClassSum {
    sluice_class_count counts{};
    sluice_delays delays{};
};

ClassSum sum_of(const Maps &maps, uint32_t id) {
    ClassSum sum;
    for (uint32_t row = 0; row < maps.count_rows(); row++)
        add(sum.counts, maps.class_count(id, row));
    add(sum.delays, maps.delays[id]);
    add(sum.delays, maps.delays[maps.earlier_delays(id)]);
    return sum;
}

// Calls `use` for every port of `from` that has the same name in `to`.
template <class Use> void for_same_ports(const Maps &from, const Maps &to, Use use) {
    for (uint32_t old = 0; old < SLUICE_MAX_PORTS; old++)
        for (uint32_t port = 0; port < SLUICE_MAX_PORTS; port++)
            if (from.ports[old].name_hash && from.ports[old].name_hash == to.ports[port].name_hash)
                use(old, port);
}

} // namespace

uint64_t class_hash(const CompiledPolicy &policy, uint32_t transition, uint32_t id) {
    const CompiledTransition &t = policy.transitions[transition];
    const auto &tenants = policy.source.transitions[transition].tenants;
    const auto classes = static_cast<uint32_t>(t.classes.size());
    const std::string name = policy.port(t.to).name + "/" +
                             (tenants ? tenants->list[id / classes].name : "") + "/" +
                             t.classes[id % classes].name;
    return std::max<uint64_t>(hash_of(name), 1);
}

uint32_t port_hash(const CompiledPolicy &policy, uint32_t port) {
    return std::max(static_cast<uint32_t>(hash_of(policy.port(port).name)), 1u);
}

uint64_t policy_hash(const CompiledPolicy &policy) {
    std::string text = SLUICE_VERSION + policy.source.sha256;
    for (const CompiledTransition &t : policy.transitions) {
        text.append(reinterpret_cast<const char *>(&t.image), sizeof(t.image));
        for (const CompiledPrefix &p : t.prefixes)
            text.append(reinterpret_cast<const char *>(&p), sizeof(p));
    }
    return hash_of(text);
}

void carry_classes(const Maps &from, uint32_t from_base, Maps &to, uint32_t to_base) {
    std::unordered_map<uint64_t, ClassSum> sums;
    for (uint32_t id = from_base; id < from_base + from.class_rows(); id++)
        if (const uint64_t name = from.classes[id].name_hash) {
            const ClassSum sum = sum_of(from, id);
            add(sums[name].counts, sum.counts);
            add(sums[name].delays, sum.delays);
        }
    for (uint32_t id = to_base; id < to_base + to.class_rows(); id++)
        if (const auto found = sums.find(to.classes[id].name_hash); found != sums.end()) {
            to.class_counts[to.class_row(id, to.cpus)] = found->second.counts;
            to.delays[to.earlier_delays(id)] = found->second.delays;
            sums.erase(found); // two transitions may have classes of one name: count once
        }
}

void carry_ports(const Maps &from, Maps &to) {
    for_same_ports(from, to, [&](uint32_t old, uint32_t port) {
        sluice_port_count received{};
        sluice_tx sent{};
        for (uint32_t row = 0; row < from.count_rows(); row++) {
            add(received, from.port_count(old, row));
            add_tx(sent, from.tx_of(old, row));
        }
        to.port_counts[to.port_row(port, to.cpus)] = received;
        to.tx[to.port_row(port, to.cpus)] = sent;
        to.ports[port].ns_per_byte = from.ports[old].ns_per_byte;
    });
}

Result<> carry_rings(const RingMemory &from, const RingMemory &to) {
    auto old_stamps = MappedArray<sluice_stamps>::map(from.stamps, "sl_stamps");
    auto stamps = MappedArray<sluice_stamps>::map(to.stamps, "sl_stamps");
    if (!old_stamps || !stamps)
        return tl::unexpected(old_stamps ? stamps.error() : old_stamps.error());
    for_same_ports(from.maps, to.maps, [&](uint32_t old, uint32_t port) {
        if (from.maps.ports[old].ifindex != to.maps.ports[port].ifindex || from.maps.cpus != to.maps.cpus)
            return;
        for (uint32_t ring = 0; ring < to.maps.cpus; ring++) {
            const size_t at = old * from.maps.cpus + ring, next = port * to.maps.cpus + ring;
            if (!from.maps.rings[at].produced || at >= old_stamps->size() || next >= stamps->size())
                continue;
            (*stamps)[next] = (*old_stamps)[at];
            to.maps.rings[next] = from.maps.rings[at];
        }
    });
    return {};
}

} // namespace sluice
