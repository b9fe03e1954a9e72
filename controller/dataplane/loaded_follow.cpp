// Devices come, go and change under a data path in force.
#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "dataplane/fill.hpp"
#include "dataplane/follow.hpp"
#include "dataplane/loaded_dataplane.hpp"
#include "dataplane/neighbours.hpp"
#include "dataplane/pins.hpp"
#include "dataplane/port_health.hpp"
#include "dataplane/swap.hpp"
#include "dataplane/vlans.hpp"

namespace sluice {

// What the API tells about ports, once programs are attached.
void LoadedDataplane::note_health(DataPath &path, const CompiledPolicy &policy) const {
    std::vector<PortFacts> &ports = path.ports();
    const auto by_tc = [&](uint32_t port) { return ports[port].xdp_mode == "tc"; };
    const auto unheard = [&](uint32_t port) {
        return by_tc(port) || (options_.hook == Hook::tracepoint && ports[port].xdp_mode == "generic");
    };
    for (uint32_t i = 0; i < ports.size(); i++) {
        PortRole role = role_of(policy, i);
        role.by_tc = role.to;
        for (const auto &t : policy.transitions)
            if (t.to == i) {
                role.unheard |= std::any_of(t.from.begin(), t.from.end(), unheard);
                role.by_tc &= std::all_of(t.from.begin(), t.from.end(), by_tc);
            }
        ports[i].degraded = port_health(ports[i], policy.port(i), role);
    }
}

Result<> LoadedDataplane::follow_ingress(IngressPort &in, const std::vector<PortFacts> &before) {
    PortFacts &facts = active_.ports()[in.port];
    if (facts.missing) {
        in.at = Attachment();
        return {};
    }
    in.stale = in.stale || needs_new_program(loaded_, in.port, before, active_.ports());
    if (in.at && !in.stale)
        return {};
    if (in.stale) {
        auto program = load_ingress(active_.instance, loaded_, in.port, active_.wiring, in.hook);
        if (!program)
            return tl::unexpected(program.error());
        in.program = std::move(*program);
    }
    return attach_ingress(active_, in, loaded_).map([&] { in.stale = false; });
}

// The queue and the socket of a device went with it; another one gets its own.
Result<> LoadedDataplane::follow_side_path(uint32_t port, const PortFacts &before) {
    const PortFacts &facts = active_.ports()[port];
    if (facts.missing == before.missing && facts.dev.ifindex == before.dev.ifindex)
        return {};
    close_side_path(active_, port, before.dev.ifindex);
    DataPath nobody;
    return open_side_path(active_, nobody, loaded_, port);
}

namespace {

bool takes_overflow(const CompiledPolicy &policy, uint32_t port) {
    const auto &all = policy.source.transitions;
    return std::any_of(all.begin(), all.end(), [&](const Transition &t) {
        return t.forward == Forward::fib &&
               std::find(t.overflow.begin(), t.overflow.end(), policy.port(port).name) != t.overflow.end();
    });
}

// By the policy, else by the kernel's default route.
std::vector<Prefix> routers_behind(Netlink &netlink, const Port &port, uint32_t ifindex) {
    std::vector<Prefix> routers = port.next_hop;
    for (const int family : {4, 6}) {
        const auto of_family = [&](const Prefix &router) { return router.family == family; };
        if (std::none_of(port.next_hop.begin(), port.next_hop.end(), of_family))
            if (const auto found = default_router(netlink, ifindex, family); found && *found)
                routers.push_back(**found);
    }
    return routers;
}

} // namespace

// Routers that `overflow` may need at any time. A failure shows where it matters: nothing is rerouted there.
void LoadedDataplane::want_next_hops() const {
    std::optional<Netlink> netlink;
    for (uint32_t i = 0; i < seen_.size(); i++) {
        const PortFacts &facts = seen_[i];
        if (facts.missing || !facts.dev.up || !facts.dev.carrier || !takes_overflow(loaded_, i))
            continue;
        if (!netlink) {
            auto opened = Netlink::open(NETLINK_ROUTE);
            if (!opened)
                return;
            netlink.emplace(std::move(*opened));
        }
        for (const Prefix &router : routers_behind(*netlink, loaded_.port(i), facts.dev.ifindex))
            (void)want_neighbour(*netlink, facts.dev.ifindex, router);
    }
}

Result<bool> LoadedDataplane::look() {
    auto seen = query_ports(loaded_.source, &active_.ports());
    if (!seen)
        return tl::unexpected(seen.error());
    seen_ = std::move(*seen);
    if (auto r = follow_vlans(active_.instance, seen_); !r)
        return tl::unexpected(r.error());
    want_next_hops();
    for (IngressPort &in : active_.ingress)
        if (in.at.dispatched() && !in.at.ifindex()) {
            in.at = Attachment(); // somebody took it out of the dispatcher: follow() enters it again
            unfinished_ = true;
        }
    return unfinished_ || differs(active_.ports(), seen_);
}

// The instance is another one now: of other devices.
Result<> LoadedDataplane::pin_again() {
    active_.identity = identity(loaded_, active_.wiring, options_.hook);
    if (!pins_)
        return {};
    return pin_programs(active_).and_then([&] { return pin_links(active_); });
}

Result<> LoadedDataplane::follow() {
    std::vector<PortFacts> &facts = active_.ports();
    const std::vector<PortFacts> before = std::exchange(facts, std::move(seen_));
    const uint32_t cpus = active_.maps.cpus;
    for (uint32_t i = 0; i < facts.size(); i++)
        if (facts[i].dev.ifindex != before[i].dev.ifindex)
            for (uint32_t cpu = 0; cpu < cpus; cpu++)
                active_.maps.rings[i * cpus + cpu].device = 0; // the old one's memory may be anybody's
    std::erase_if(active_.pass_links, [&](const auto &entry) {
        return std::none_of(facts.begin(), facts.end(),
                            [&](const PortFacts &f) { return !f.missing && f.dev.ifindex == entry.first; });
    });
    attach_pass_programs(active_, loaded_);
    fill_ports(active_.maps, loaded_, facts);
    Result<> done = serve_ports(active_.instance, loaded_, facts);
    std::map<uint32_t, std::string> trouble; // of one port, which is not the others'
    for (uint32_t i = 0; i < facts.size(); i++)
        if (const auto followed = follow_side_path(i, before[i]); !followed) {
            trouble[i] = to_string(followed.error());
            done = followed;
        }
    for (auto &in : active_.ingress)
        if (const auto followed = follow_ingress(in, before); !followed) {
            trouble[in.port] = to_string(followed.error());
            done = followed;
        }
    if (auto pinned = pin_again(); !pinned)
        done = pinned;
    note_health(active_, loaded_);
    for (const auto &[port, text] : trouble)
        facts[port].degraded = text;
    unfinished_ = !done;
    return done;
}

} // namespace sluice
