#include "dataplane/fill.hpp"

#include <cerrno>

#include "core/clock.hpp"
#include "dataplane/carry.hpp"

namespace sluice {

void fill_ports(Maps &maps, const CompiledPolicy &policy, const std::vector<PortFacts> &facts) {
    for (size_t i = 0; i < facts.size(); i++) {
        const Overhead &overhead = policy.port(static_cast<uint32_t>(i)).overhead;
        sluice_port &port = maps.ports[i];
        port.ifindex = facts[i].dev.ifindex;
        port.reader = facts[i].reader;
        port.ring_rules = facts[i].ring_rules();
        port.overhead = overhead.bytes;
        port.mpu = overhead.mpu;
        port.cells = overhead.cells;
        port.mtu = facts[i].dev.mtu;
        port.down = facts[i].missing || !facts[i].dev.up || !facts[i].dev.carrier;
        port.name_hash = port_hash(policy, static_cast<uint32_t>(i));
        port.guard = {20'000'000, 100'000'000}; // until the control loop knows better
        port.guard_limit_ns = 100'000'000;
    }
}

namespace {

// The trie holds the prefixes of both generations: those of an earlier policy must go first. Walking it asks
// nothing of whoever wrote them, which may have been an earlier daemon.
Result<> remove_prefixes(int trie, uint32_t generation) {
    std::vector<sluice_prefix_key> old;
    sluice_prefix_key key{};
    for (void *previous = nullptr; bpf_map_get_next_key(trie, previous, &key) == 0; previous = &key)
        if (key.table / 8 / SLUICE_MAX_TRANSITIONS == generation)
            old.push_back(key);
    for (const auto &k : old)
        if (bpf_map_delete_elem(trie, &k) != 0 && errno != ENOENT)
            return fail_errno(errno, "remove an old prefix");
    return {};
}

Result<> add_prefixes(int trie, const CompiledPolicy &policy, uint32_t generation) {
    for (uint32_t i = 0; i < policy.transitions.size(); i++)
        for (CompiledPrefix p : policy.transitions[i].prefixes) {
            p.key.table += (generation * SLUICE_MAX_TRANSITIONS + i) * 8;
            if (bpf_map_update_elem(trie, &p.key, &p.value, BPF_ANY) != 0)
                return fail_errno(errno, "add a prefix",
                                  errno == ENOSPC ? "fewer prefixes: the trie is full" : "");
        }
    return {};
}

// Virtual time at which a generation begins: beyond every `finish` that buckets may still hold from a policy
// before, since no class was ever served faster than this. Else a flow would owe what it owed then.
uint64_t first_vt() {
    constexpr uint64_t kMostBytesPerNs = 64; // SLUICE_HORIZON_NS has the same bound
    return monotonic_ns() * kMostBytesPerNs;
}

void fill_classes(Maps &maps, const CompiledPolicy &policy, uint32_t base) {
    const uint64_t vt = first_vt();
    for (uint32_t c = 0; c < maps.class_rows(); c++) {
        maps.classes[base + c] = sluice_class{};
        maps.delays[base + c] = maps.delays[maps.earlier_delays(base + c)] = sluice_delays{};
        for (uint32_t row = 0; row < maps.count_rows(); row++)
            maps.class_counts[maps.class_row(base + c, row)] = sluice_class_count{};
        for (auto &share : maps.classes[base + c].share) { // admits all until the control loop publishes
            share.vt0 = vt;
            share.target_bytes = share.step_bytes = share.short_limit_bytes = share.limit_bytes = ~0ull >> 2;
        }
    }
    for (uint32_t i = 0; i < policy.transitions.size(); i++)
        for (uint32_t id = 0; id < policy.transitions[i].class_count(); id++) {
            const CompiledTransition &t = policy.transitions[i];
            const CompiledClass &from = t.classes[id % t.classes.size()];
            sluice_class &to = maps.classes[base + t.first_class + id];
            to.name_hash = class_hash(policy, i, id);
            to.mark = from.mark;
            to.law = from.aqm.law == Law::pi2 ? SLUICE_LAW_PI2 : SLUICE_LAW_CODEL;
            to.remark = from.remark;
            to.ways = from.ways;
            to.trim_bytes = from.trim_bytes;
            to.trim_dscp = from.trim_dscp;
        }
}

} // namespace

Result<> fill_generation(const Instance &instance, Maps &maps, const CompiledPolicy &policy,
                         uint32_t generation) {
    const uint32_t base = generation * maps.class_rows();
    for (uint32_t i = 0; i < policy.transitions.size(); i++) {
        sluice_transition &image = maps.transitions[generation * SLUICE_MAX_TRANSITIONS + i];
        image = policy.transitions[i].image;
        image.first_class += base;
    }
    fill_classes(maps, policy, base);
    maps.control[0].policy_hash[generation] = policy_hash(policy);
    const int trie = instance.map("sl_prefixes");
    return remove_prefixes(trie, generation).and_then([&] { return add_prefixes(trie, policy, generation); });
}

Result<> fill_devmap(const Instance &instance, const CompiledPolicy &policy,
                     const std::vector<PortFacts> &facts) {
    const int port_of = instance.map("sl_port_of"), devmap = instance.map("sl_devmap");
    for (uint32_t i = 0; i < facts.size(); i++) {
        const uint32_t ifindex = facts[i].dev.ifindex;
        if (facts[i].missing)
            continue;
        if (int err = bpf_map_update_elem(port_of, &ifindex, &i, BPF_ANY))
            return fail_errno(err, "enter port " + policy.port(i).name + " into sl_port_of");
        bpf_devmap_val entry{};
        entry.ifindex = ifindex;
        entry.bpf_prog.fd = instance.devmap_frame.get();
        if (int err = bpf_map_update_elem(devmap, &i, &entry, BPF_ANY))
            return fail_errno(err, "enter port " + policy.port(i).name + " into the devmap");
    }
    return {};
}

} // namespace sluice
