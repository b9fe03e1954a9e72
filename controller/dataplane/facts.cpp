#include "dataplane/facts.hpp"

#include <algorithm>
#include <optional>

#include "dataplane/port_readers.hpp"
#include "dataplane/transmit_probe.hpp"

namespace sluice {
namespace {

Result<std::optional<Netdev>> find_port(const Port &port, const PortFacts *known) {
    auto named = find_netdev(port.device);
    if (!named || *named || !known || !known->dev.ifindex)
        return named;
    return find_netdev(known->dev.ifindex); // renamed, perhaps
}

// The running programs read the rings that were there when they were loaded, and of that kind only.
void keep_reader(PortFacts &facts, const PortFacts &before) {
    if (before.dev.ifindex && facts.dev.driver == before.dev.driver)
        return;
    facts.reader = SLUICE_READER_NONE;
    facts.trust = SLUICE_TRUST_NONE;
    facts.reader_note = "the ring of driver " + facts.dev.driver + " is read after the next reload";
}

bool is_target(const Policy &policy, const Port &port) {
    return std::any_of(policy.transitions.begin(), policy.transitions.end(),
                       [&](const Transition &t) { return t.to == port.name; });
}

// Where nobody says whether the port takes redirected frames, it is tried. The peer of a veth may change its
// mind without a word to anybody: that is tried each time.
void try_transmit(PortFacts &facts, const PortFacts *before) {
    Preflight &p = facts.preflight;
    if (p.xmit != Ability::unknown || !facts.dev.up || !facts.dev.carrier)
        return;
    const bool known = before && !before->missing && before->dev.ifindex == facts.dev.ifindex &&
                       before->dev.carrier && before->preflight.xmit == Ability::yes;
    if (known && facts.dev.driver != "veth")
        p.xmit = Ability::yes;
    else if (const auto taken = takes_redirected_frame(facts.dev))
        p.xmit = *taken ? Ability::yes : Ability::no;
}

PortFacts without_device(const Port &port, const PortFacts *known) {
    PortFacts facts;
    if (known)
        facts = *known;
    else
        facts.reader_note = "its device is missing";
    if (!facts.dev.ifindex)
        facts.dev.name = port.device;
    facts.missing = true;
    facts.dev.up = facts.dev.carrier = false;
    return facts;
}

} // namespace

Result<std::vector<PortFacts>> query_ports(const Policy &policy, const std::vector<PortFacts> *known) {
    std::vector<PortFacts> all;
    for (size_t i = 0; i < policy.ports.size(); i++) {
        const Port &port = policy.ports[i];
        const PortFacts *before = known && i < known->size() ? &(*known)[i] : nullptr;
        auto dev = find_port(port, before);
        if (!dev)
            return fail("port " + port.name + ": " + dev.error().what, dev.error().cure);
        if (!*dev) {
            all.push_back(without_device(port, before));
            continue;
        }
        PortFacts facts;
        if (before)
            facts = *before;
        facts.missing = false;
        facts.dev = **dev;
        facts.preflight = preflight(facts.dev);
        if (is_target(policy, port))
            try_transmit(facts, before);
        if (before)
            keep_reader(facts, *before);
        else
            choose_reader(facts);
        all.push_back(std::move(facts));
    }
    return all;
}

} // namespace sluice
