#include "dataplane/follow.hpp"

#include <algorithm>
#include <cerrno>

#include "dataplane/port_health.hpp"

namespace sluice {
namespace {

bool same(const PortFacts &a, const PortFacts &b) {
    return a.missing == b.missing && a.dev.ifindex == b.dev.ifindex && a.dev.name == b.dev.name &&
           a.dev.mtu == b.dev.mtu && a.dev.up == b.dev.up && a.dev.carrier == b.dev.carrier &&
           a.dev.mac == b.dev.mac && a.preflight.xmit == b.preflight.xmit &&
           a.preflight.speed_bits_per_s == b.preflight.speed_bits_per_s && a.in_service == b.in_service &&
           a.has_vlans == b.has_vlans;
}

bool is_another(const PortFacts &before, const PortFacts &now) {
    return !now.missing && now.dev.ifindex != before.dev.ifindex;
}

Result<> enter(const Instance &instance, const std::string &name, uint32_t port, uint32_t ifindex) {
    const int port_of = instance.map("sl_port_of"), devmap = instance.map("sl_devmap");
    if (int err = bpf_map_update_elem(port_of, &ifindex, &port, BPF_ANY))
        return fail_errno(err, "enter port " + name + " into sl_port_of");
    bpf_devmap_val entry{};
    entry.ifindex = ifindex;
    entry.bpf_prog.fd = instance.devmap_frame.get();
    if (int err = bpf_map_update_elem(devmap, &port, &entry, BPF_ANY))
        return fail_errno(err, "enter port " + name + " into the devmap");
    return {};
}

} // namespace

bool differs(const std::vector<PortFacts> &before, const std::vector<PortFacts> &now) {
    return !std::equal(before.begin(), before.end(), now.begin(), now.end(), same);
}

bool needs_new_program(const CompiledPolicy &policy, uint32_t port, const std::vector<PortFacts> &before,
                       const std::vector<PortFacts> &now) {
    if (is_another(before[port], now[port]) || before[port].dev.mac != now[port].dev.mac ||
        takes_frags(before[port]) != takes_frags(now[port]))
        return true;
    return std::any_of(policy.transitions.begin(), policy.transitions.end(),
                       [&](const CompiledTransition &t) {
                           return is_another(before[t.to], now[t.to]) &&
                                  std::find(t.from.begin(), t.from.end(), port) != t.from.end();
                       });
}

Result<> serve_ports(const Instance &instance, const CompiledPolicy &policy, std::vector<PortFacts> &ports) {
    for (uint32_t i = 0; i < ports.size(); i++) {
        PortFacts &facts = ports[i];
        facts.in_service = takes_frames(facts);
        if (facts.in_service) {
            if (auto r = enter(instance, policy.port(i).name, i, facts.dev.ifindex); !r)
                return r;
        } else {
            // The kernel may have done so itself: it removes the entry of a device that goes.
            bpf_map_delete_elem(instance.map("sl_devmap"), &i);
        }
    }
    return {};
}

} // namespace sluice
