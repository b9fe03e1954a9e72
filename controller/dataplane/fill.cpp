#include "dataplane/fill.hpp"

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
        port.guard = {20'000'000, 100'000'000}; // until the control loop knows better
        port.guard_limit_ns = 100'000'000;
    }
}

void fill_generation(Maps &maps, const CompiledPolicy &policy, uint32_t generation) {
    const uint32_t base = generation * SLUICE_MAX_CLASSES;
    for (uint32_t i = 0; i < policy.transitions.size(); i++) {
        sluice_transition image = policy.transitions[i].image;
        image.default_class += base;
        for (auto &rule : image.rules)
            rule.class_id = static_cast<uint16_t>(rule.class_id + base);
        maps.transitions[generation * SLUICE_MAX_TRANSITIONS + i] = image;
    }
    for (uint32_t c = 0; c < SLUICE_MAX_CLASSES; c++) {
        maps.classes[base + c] = sluice_class{};
        for (uint32_t cpu = 0; cpu < maps.cpus; cpu++)
            maps.class_counts[(base + c) * maps.cpus + cpu] = sluice_class_count{};
        for (auto &share : maps.classes[base + c].share) // admits all until the control loop publishes
            share.target_bytes = share.step_bytes = share.limit_bytes = ~0ull >> 2;
    }
    for (const auto &t : policy.transitions)
        for (uint32_t i = 0; i < t.classes.size(); i++)
            maps.classes[base + t.first_class + i].mark = t.classes[i].mark;
}

Result<> fill_devmap(const Instance &instance, const CompiledPolicy &policy,
                     const std::vector<PortFacts> &facts) {
    const int port_of = instance.map("sl_port_of"), devmap = instance.map("sl_devmap");
    for (uint32_t i = 0; i < facts.size(); i++) {
        const uint32_t ifindex = facts[i].dev.ifindex;
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
