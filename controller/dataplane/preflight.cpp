#include "dataplane/preflight.hpp"

#include "dataplane/driver_traits.hpp"
#include "dataplane/facts.hpp"
#include "dataplane/port_readers.hpp"
#include "dataplane/xdp_features.hpp"

namespace sluice {
namespace {

Ability native_of(const std::optional<uint64_t> &features, const DriverTraits &traits) {
    if (features)
        return *features & kXdpBasic ? Ability::yes : Ability::no;
    return traits.native ? Ability::yes : Ability::unknown;
}

Ability xmit_of(const Preflight &p, const DriverTraits &traits) {
    if (p.features && *p.features & kXdpXmit)
        return Ability::yes;
    if (traits.wants_program)
        return p.dev.xdp_prog && !p.features ? Ability::yes : Ability::with_program;
    return p.features ? Ability::no : Ability::unknown;
}

std::string driver_text(const Netdev &dev) {
    return dev.driver.empty() ? "its driver" : "driver " + dev.driver;
}

Finding no_xmit(const Preflight &p) {
    const std::string &name = p.dev.name;
    if (p.dev.driver == "veth")
        return {name + " takes no redirected frames: its veth peer has neither GRO nor an XDP program",
                "ethtool -K PEER gro on, in the peer's namespace"};
    return {name + " takes no redirected frames: " + driver_text(p.dev) + " has no ndo_xdp_xmit",
            "a card whose driver has it"};
}

} // namespace

Preflight preflight(const Netdev &dev) {
    const DriverTraits &traits = driver_traits(dev.driver);
    Preflight p;
    p.dev = dev;
    p.features = xdp_features(dev.ifindex).value_or(std::nullopt);
    p.native = native_of(p.features, traits);
    p.xmit = xmit_of(p, traits);
    p.frags = p.features && (*p.features & kXdpReceiveSg);
    p.linear_mtu = traits.linear_mtu;
    PortFacts facts;
    facts.dev = dev;
    choose_reader(facts);
    p.reader = facts.reader;
    p.trust = facts.trust;
    p.reader_note = facts.reader_note;
    p.rings = ring_sizes(dev.name);
    p.channels = channels(dev.name);
    p.gro = generic_receive_offload(dev.name);
    if (traits.real_speed) {
        p.speed_bits_per_s = link_speed_bits_per_s(dev.name);
        p.strips_tags = strips_vlan_tags(dev.name).value_or(false);
    }
    return p;
}

Finding mtu_finding(const Preflight &p) {
    const std::string limit = std::to_string(p.linear_mtu);
    return {"MTU " + std::to_string(p.dev.mtu) + " of " + p.dev.name + " is above what " +
                driver_text(p.dev) + " takes with XDP: " + limit,
            "ip link set " + p.dev.name + " mtu " + limit +
                ", or generic mode as now (slow), or a driver with multi-buffer XDP"};
}

Finding tags_finding(const Preflight &p, bool hurts) {
    return {p.dev.name + " takes VLAN tags out of frames before XDP sees them: its program would take them "
                         "for untagged ones",
            "ethtool -K " + p.dev.name + " rxvlan off", hurts};
}

std::vector<Finding> receive_findings(const Preflight &p) {
    std::vector<Finding> found;
    if (p.native == Ability::no)
        found.push_back({driver_text(p.dev) + " has no native XDP: frames become skbs first (generic mode)",
                         p.dev.kind == "bridge" || p.dev.kind == "bond"
                             ? "attach to the members of " + p.dev.name + " instead"
                             : "a card whose driver has XDP"});
    else if (!p.mtu_fits())
        found.push_back(mtu_finding(p));
    if (p.strips_tags)
        found.push_back(tags_finding(p, false));
    return found;
}

std::vector<Finding> transmit_findings(const Preflight &p) {
    std::vector<Finding> found;
    if (p.xmit == Ability::no)
        found.push_back(no_xmit(p));
    if (p.xmit == Ability::with_program)
        found.push_back({p.dev.name + " takes redirected frames only while an XDP program is attached to it",
                         "sluiced attaches one that passes every frame", false});
    if (p.xmit == Ability::unknown)
        found.push_back({"this kernel does not say whether " + p.dev.name + " takes redirected frames",
                         "kernel 6.3 or later says it; sluiced tries it with a frame of its own", false});
    if (!p.reader_note.empty())
        found.push_back({p.reader_note, "give the port a `rate`", false});
    if (!p.dev.up)
        found.push_back({p.dev.name + " is down", "ip link set " + p.dev.name + " up"});
    else if (!p.dev.carrier)
        found.push_back({p.dev.name + " has no carrier", "cable, peer, or the program behind a TAP device"});
    return found;
}

} // namespace sluice
