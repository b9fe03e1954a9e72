#include "dataplane/swap.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>

#include "dataplane/attach.hpp"
#include "dataplane/pass_program.hpp"
#include "dataplane/port_health.hpp"

namespace sluice {
namespace {

Fd duplicate(const Fd &fd) {
    return Fd(fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
}

const IngressPort *at_interface(const DataPath &path, uint32_t ifindex) {
    for (const IngressPort &in : path.ingress)
        if (in.ifindex == ifindex && in.at)
            return &in;
    return nullptr;
}

template <class Path> auto *slow_path_of(Path &path, uint32_t ifindex) {
    for (auto &slow : path.slow_paths)
        if (slow.ifindex() == ifindex)
            return &slow;
    return static_cast<decltype(&path.slow_paths.front())>(nullptr);
}

bool has_qdisc(const DataPath &path, uint32_t ifindex) {
    return std::find(path.qdiscs.begin(), path.qdiscs.end(), ifindex) != path.qdiscs.end();
}

Result<> open_spill(DataPath &next, DataPath &old, const Port &port, uint32_t index) {
    const Netdev &dev = next.ports()[index].dev;
    const SpillQdisc::Config config{.ifindex = dev.ifindex,
                                    .device = dev.name,
                                    .queue = *port.spill,
                                    .overhead = port.overhead.bytes,
                                    .mtu_bytes = dev.mtu + 14 + port.overhead.bytes};
    auto spill = SpillPath::open(config, next.maps.ports[index], *port.rate_bytes_per_s);
    if (!spill)
        return tl::unexpected(spill.error());
    next.spills[index] = std::move(*spill);
    next.qdiscs.push_back(dev.ifindex);
    auto slow = SlowPath::attach(next.instance.slow_path, dev, slow_path_of(old, dev.ifindex));
    if (!slow)
        return tl::unexpected(slow.error());
    next.slow_paths.push_back(std::move(*slow));
    return {};
}

} // namespace

Result<> open_side_paths(DataPath &next, DataPath &old, const CompiledPolicy &policy) {
    for (const auto &[ifindex, link] : old.pass_links)
        for (const PortFacts &facts : next.ports())
            if (!facts.missing && facts.dev.ifindex == ifindex && link)
                next.pass_links.emplace(ifindex, duplicate(link));
    attach_pass_programs(next, policy);
    for (uint32_t i = 0; i < next.ports().size(); i++)
        if (auto r = open_side_path(next, old, policy, i); !r)
            return r;
    return {};
}

Result<> open_side_path(DataPath &next, DataPath &old, const CompiledPolicy &policy, uint32_t index) {
    const Port &port = policy.port(index);
    if (next.ports()[index].missing)
        return {};
    if (port.pause) {
        auto sender = PauseSender::open(next.ports()[index].dev);
        if (!sender)
            return tl::unexpected(sender.error());
        next.pauses.insert_or_assign(index, std::move(*sender));
    }
    return port.spill && port.rate_bytes_per_s ? open_spill(next, old, port, index) : Result<>();
}

void close_side_path(DataPath &path, uint32_t index, uint32_t ifindex) {
    path.spills.erase(index);
    path.pauses.erase(index);
    std::erase(path.qdiscs, ifindex);
    std::erase_if(path.slow_paths, [&](const SlowPath &slow) { return slow.ifindex() == ifindex; });
}

void attach_pass_programs(DataPath &path, const CompiledPolicy &policy) {
    for (uint32_t i = 0; i < path.ports().size(); i++) {
        PortFacts &facts = path.ports()[i];
        const PortRole role = role_of(policy, i);
        if (!role.to || role.from || facts.missing || facts.preflight.xmit != Ability::with_program ||
            path.pass_links.contains(facts.dev.ifindex))
            continue;
        if (auto link = attach_pass_program(facts.dev)) {
            path.pass_links.emplace(facts.dev.ifindex, std::move(*link));
            if (auto now = find_netdev(facts.dev.ifindex); now && *now)
                facts.dev = **now;
            facts.preflight = preflight(facts.dev);
        }
    }
}

namespace {

Result<> use_hook(DataPath &path, IngressPort &in, const CompiledPolicy &policy, IngressHook hook) {
    if (in.hook == hook)
        return {};
    auto program = load_ingress(path.instance, policy, in.port, path.wiring, hook);
    if (!program)
        return tl::unexpected(program.error());
    in.program = std::move(*program);
    in.hook = hook;
    return {};
}

Result<> exchange(DataPath &path, IngressPort &in, const CompiledPolicy &policy) {
    return check_attachment(in.at, path.ports()[in.port], policy.port(in.port))
        .and_then([&] { return use_hook(path, in, policy, in.at.hook()); })
        .and_then([&] { return in.at.exchange(in.program); });
}

Result<Attachment> attach_anew(DataPath &path, IngressPort &in, const CompiledPolicy &policy) {
    PortFacts &facts = path.ports()[in.port];
    const Port &port = policy.port(in.port);
    facts.xdp_refused.clear();
    if (port.xdp == XdpChoice::tc)
        return attach_tc(in.program, facts);
    auto at = use_hook(path, in, policy, IngressHook::xdp).and_then([&] {
        return attach_xdp(in.program, facts, port);
    });
    if (at || port.xdp != XdpChoice::automatic || port.attach == AttachChoice::dispatcher ||
        at.error().kind == ErrorKind::busy)
        return at;
    facts.xdp_refused = at.error().what;
    auto tc =
        use_hook(path, in, policy, IngressHook::tc).and_then([&] { return attach_tc(in.program, facts); });
    return tc ? std::move(tc) : std::move(at);
}

Result<> attach_somehow(DataPath &path, IngressPort &in, const CompiledPolicy &policy) {
    const Netdev &dev = path.ports()[in.port].dev;
    if (in.at && in.ifindex == dev.ifindex)
        return exchange(path, in, policy);
    auto at = attach_anew(path, in, policy);
    if (!at)
        return tl::unexpected(at.error());
    in.at = std::move(*at);
    in.ifindex = dev.ifindex;
    return {};
}

} // namespace

void note_mode(Maps &maps, uint32_t port, const PortFacts &facts) {
    for (uint32_t cpu = 0; cpu < maps.cpus; cpu++)
        maps.port_counts[maps.port_row(port, cpu)].generic = !facts.redirects_natively();
}

Result<> attach_ingress(DataPath &path, IngressPort &in, const CompiledPolicy &policy) {
    PortFacts &facts = path.ports()[in.port];
    if (facts.missing)
        return {};
    return attach_somehow(path, in, policy).map([&] {
        facts.xdp_mode = in.at.mode();
        note_mode(path.maps, in.port, facts);
    });
}

Result<> put_in_place(DataPath &next, const DataPath &old, const CompiledPolicy &policy) {
    auto tracepoints = attach_tracepoints(next.instance);
    if (!tracepoints)
        return tl::unexpected(tracepoints.error());
    next.tracepoints = std::move(*tracepoints);
    for (IngressPort &in : next.ingress) {
        const PortFacts &facts = next.ports()[in.port];
        if (const IngressPort *before = at_interface(old, facts.dev.ifindex); before && !facts.missing) {
            in.at = before->at.share();
            in.ifindex = before->ifindex;
        }
        if (auto r = attach_ingress(next, in, policy); !r)
            return r;
    }
    return {};
}

void put_back(DataPath &next, DataPath &old) {
    for (IngressPort &in : next.ingress) {
        const IngressPort *before = at_interface(old, in.ifindex);
        if (before && in.at && before->program)
            (void)before->at.exchange(before->program); // as it was a moment ago
        if (!before)
            in.at.detach();
        in.at = Attachment();
    }
    next.tracepoints.clear();
    for (auto &[port, spill] : next.spills)
        if (has_qdisc(old, next.ports()[port].dev.ifindex))
            spill->leave();
    for (SlowPath &slow : next.slow_paths) {
        SlowPath *before = slow_path_of(old, slow.ifindex());
        if (!before || !old.instance.slow_path)
            continue;
        Netdev dev;
        dev.ifindex = slow.ifindex();
        if (auto again = SlowPath::attach(old.instance.slow_path, dev, &slow)) {
            old.slow_paths.erase(old.slow_paths.begin() + (before - old.slow_paths.data()));
            old.slow_paths.push_back(std::move(*again));
        }
    }
}

void detach_others(const DataPath &next, DataPath &old) {
    for (IngressPort &in : old.ingress)
        if (in.at && !at_interface(next, in.ifindex))
            in.at.detach();
    for (const auto &[ifindex, link] : old.pass_links)
        if (link && !next.pass_links.contains(ifindex))
            bpf_link_detach(link.get());
    for (const SlowPath &slow : old.slow_paths)
        if (!slow_path_of(next, slow.ifindex())) // takes it away as it goes
            SlowPath::left(slow.ifindex(), duplicate(slow.link()), slow.made_clsact());
    for (auto &[port, spill] : old.spills)
        if (has_qdisc(next, old.ports()[port].dev.ifindex))
            spill->leave(); // `next` runs it
    old.spills.clear();
    for (const uint32_t ifindex : old.qdiscs)
        if (!has_qdisc(next, ifindex))
            (void)SpillQdisc::remove_left(ifindex, "interface " + std::to_string(ifindex));
}

} // namespace sluice
