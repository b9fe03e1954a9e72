#include "dataplane/port_health.hpp"

#include <algorithm>

#include "core/units.hpp"

namespace sluice {
namespace {

constexpr const char *kernel_path = ": frames for it take the kernel's path";

Finding missing(const Port &port) {
    return {"device " + port.device + " is missing" + kernel_path,
            "nothing to do if it comes back under this name; else correct `device`"};
}

Finding renamed(const PortFacts &facts, const Port &port) {
    return {port.device + " is now called " + facts.dev.name,
            "give the policy the new name before sluiced starts again, or rename it back"};
}

Finding generic(const PortFacts &facts) {
    if (!facts.preflight.mtu_fits())
        return mtu_finding(facts.preflight);
    if (facts.preflight.native == Ability::yes)
        return {"XDP of " + facts.dev.name +
                    " is attached in generic mode, slow, and its driver has native XDP",
                "stop sluiced, `sluicectl unload`, start it again"};
    return {"driver " + facts.dev.driver + " has no native XDP: generic mode, slow",
            "a card whose driver has XDP"};
}

Finding tc(const PortFacts &facts) {
    return {"tc ingress stands in for XDP at " + facts.dev.name + ", slow" +
                (facts.xdp_refused.empty() ? "" : ": " + facts.xdp_refused),
            "`xdp: tc` if that is meant"};
}

Finding no_ways(const PortFacts &facts) {
    return {"`when_full` of frames from " + facts.dev.name +
                " knows only mark and drop: they come by tc ingress",
            "drop the other ways, or make room for XDP"};
}

Finding no_rate(const PortFacts &facts) {
    return {facts.reader_note + ": nothing tells what the link drains", "give the port a rate"};
}

Finding too_fast(const PortFacts &facts, const Port &port) {
    return {"rate " + print_rate(*port.rate_bytes_per_s) + " is above the speed of " + facts.dev.name + ", " +
                print_rate(*facts.preflight.speed_bits_per_s / 8) + ", which counts",
            "correct the rate, or find out why the link is slow"};
}

Finding no_program(const PortFacts &facts) {
    return {facts.dev.name + " takes redirected frames only with an XDP program, and has none" + kernel_path,
            "sluiced could not attach one: see what else is attached, `bpftool net show dev " +
                facts.dev.name + "`"};
}

bool above_speed(const PortFacts &facts, const Port &port) {
    return port.rate_bytes_per_s && facts.preflight.speed_bits_per_s &&
           *port.rate_bytes_per_s > *facts.preflight.speed_bits_per_s / 8;
}

Finding unheard(const PortFacts &facts) {
    return {"frames come to " + facts.dev.name +
                " by generic XDP or tc ingress: its ring is not read, nothing tells what it drains",
            "give the port a rate; for generic XDP also: start sluiced with --egress-hook devmap"};
}

// What stands in the way of frames that are redirected to the port. The stack's own way has no need of it.
void add_redirect(std::vector<Finding> &found, const PortFacts &facts) {
    for (Finding &f : transmit_findings(facts.preflight))
        if (f.hurts) {
            f.what += kernel_path;
            found.push_back(std::move(f));
        }
    if (facts.preflight.xmit == Ability::with_program)
        found.push_back(no_program(facts));
}

void add_transmit(std::vector<Finding> &found, const PortFacts &facts, const Port &port, PortRole role) {
    if (!role.by_tc || !facts.dev.up || !facts.dev.carrier)
        add_redirect(found, facts);
    if (!facts.ring_rules() && !port.rate_bytes_per_s)
        found.push_back(no_rate(facts));
    else if (role.unheard && !port.rate_bytes_per_s)
        found.push_back(unheard(facts));
    if (above_speed(facts, port))
        found.push_back(too_fast(facts, port));
}

} // namespace

PortRole role_of(const CompiledPolicy &policy, uint32_t port) {
    PortRole role;
    for (const auto &t : policy.transitions) {
        const bool from = std::find(t.from.begin(), t.from.end(), port) != t.from.end();
        role.from |= from;
        role.wire |= from && t.forward == Forward::xconnect;
        role.to |= t.to == port;
        role.ways |=
            from && std::any_of(t.classes.begin(), t.classes.end(), [](const auto &c) { return c.ways; });
    }
    return role;
}

bool takes_frames(const PortFacts &facts) {
    return !facts.missing && facts.dev.up && facts.dev.carrier && facts.preflight.xmit != Ability::no &&
           facts.preflight.xmit != Ability::with_program;
}

std::string port_health(const PortFacts &facts, const Port &port, PortRole role) {
    std::vector<Finding> found;
    if (facts.missing) {
        found.push_back(missing(port));
    } else {
        if (facts.dev.name != port.device)
            found.push_back(renamed(facts, port));
        if (role.from && facts.xdp_mode == "generic" && port.xdp != XdpChoice::generic)
            found.push_back(generic(facts));
        if (role.from && facts.xdp_mode == "tc" && port.xdp != XdpChoice::tc)
            found.push_back(tc(facts));
        if (role.ways && facts.xdp_mode == "tc")
            found.push_back(no_ways(facts));
        if ((role.wire || facts.has_vlans) && role.from && facts.xdp_mode != "tc" &&
            facts.preflight.strips_tags)
            found.push_back(tags_finding(facts.preflight, true));
        if (role.to)
            add_transmit(found, facts, port, role);
    }
    std::string text;
    for (const Finding &f : found)
        if (f.hurts)
            text += (text.empty() ? "" : "; ") + to_string(Error{f.what, f.cure});
    return text;
}

} // namespace sluice
