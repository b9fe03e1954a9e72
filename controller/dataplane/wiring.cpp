#include "dataplane/wiring.hpp"

#include <bpf/libbpf.h>

#include <cerrno>

namespace sluice {
namespace {

// What is known of the policy's devices, in its order; nothing of a device that is new.
std::vector<PortFacts> in_order_of(const Policy &policy, const Wiring &running,
                                   const Policy &running_policy) {
    std::vector<PortFacts> known(policy.ports.size());
    for (size_t i = 0; i < policy.ports.size(); i++)
        for (size_t k = 0; k < running.ports.size(); k++)
            if (running_policy.ports[k].device == policy.ports[i].device)
                known[i] = running.ports[k];
    return known;
}

// New programs read whatever ring is there now.
void choose_again(PortFacts &facts) {
    facts.reader = SLUICE_READER_NONE;
    facts.trust = SLUICE_TRUST_NONE;
    facts.reader_note = "its device is missing";
    if (!facts.dev.ifindex)
        return; // never seen
    facts.reader_note.clear();
    choose_reader(facts);
}

Result<> find_readers(Wiring &wiring, const Wiring *running) {
    wiring.wanted = wanted_readers(wiring.ports);
    if (running && running->wanted == wiring.wanted) {
        wiring.readers = running->readers;
    } else if (auto found = running_ring_layout(wiring.wanted); found) {
        wiring.readers = std::move(*found);
    } else {
        return tl::unexpected(found.error());
    }
    settle_readers(wiring.ports, wiring.readers);
    return {};
}

} // namespace

Result<Wiring> survey(const Policy &policy, const Wiring *running, const Policy *running_policy) {
    std::vector<PortFacts> known;
    if (running && running_policy)
        known = in_order_of(policy, *running, *running_policy);
    auto ports = query_ports(policy, known.empty() ? nullptr : &known);
    if (!ports)
        return tl::unexpected(ports.error());
    Wiring wiring;
    wiring.ports = std::move(*ports);
    for (PortFacts &facts : wiring.ports)
        choose_again(facts);
    const int possible = libbpf_num_possible_cpus();
    if (possible <= 0)
        return fail_errno(possible, "count the possible CPUs");
    wiring.cpus = static_cast<uint32_t>(possible);
    const auto netns = this_netns();
    if (!netns)
        return tl::unexpected(netns.error());
    wiring.netns = *netns;
    if (auto r = find_readers(wiring, running); !r)
        return tl::unexpected(r.error());
    return wiring;
}

} // namespace sluice
