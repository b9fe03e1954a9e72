// The reading side of Loop, flow by flow: who is backlogged, and what would happen to one more packet.
#include "control/loop.hpp"

#include <sluice/phantom.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include <arpa/inet.h>

#include "core/clock.hpp"
#include "core/units.hpp"

namespace sluice {
namespace {

constexpr size_t kScanned = 16384; // flows looked at per port: the loop waits meanwhile

struct Candidate {
    uint64_t backlog, bytes, delay_ns;
    uint32_t bucket, class_index;
};

std::string address_text(uint8_t family, const uint8_t *address) {
    char text[INET6_ADDRSTRLEN] = "";
    if (family == 4 || family == 6)
        inet_ntop(family == 4 ? AF_INET : AF_INET6, address, text, sizeof(text));
    return text;
}

// Phantom backlog and delay of one flow. Its bytes count `scale` times where hosts share first.
void set_backlog(uint64_t &backlog, uint64_t &delay_ns, const sluice_class &shared, const sluice_flow &flow,
                 uint64_t now_ns) {
    const sluice_share &share = shared.share[shared.current & 1];
    const uint64_t lag =
        sluice_lag(__atomic_load_n(&flow.finish, __ATOMIC_RELAXED), sluice_vt(&share, now_ns));
    backlog = lag / std::max<uint64_t>(1, flow.scale);
    delay_ns = sluice_delay_ns(&share, lag);
}

bool same_flow(const sluice_flow_info &info, const PacketKey &key, Isolate by) {
    const bool src = by != Isolate::dsthost && by != Isolate::none;
    const bool dst = by != Isolate::srchost && by != Isolate::none;
    const bool ports = src && dst && by != Isolate::hosts;
    return info.family == key.family && (!src || std::memcmp(info.src, key.src.data(), 16) == 0) &&
           (!dst || std::memcmp(info.dst, key.dst.data(), 16) == 0) &&
           (!ports || (info.proto == key.proto && info.sport == key.sport && info.dport == key.dport));
}

void explain_flow(Explanation &e, const sluice_class &shared, const sluice_flow &flow) {
    const sluice_share &share = shared.share[shared.current & 1];
    e.active = true;
    e.unresponsive = flow.pressure >= SLUICE_UNRESPONSIVE;
    set_backlog(e.backlog_bytes, e.delay_ns, shared, flow, monotonic_ns());
    if (e.unresponsive)
        e.limit_ns = sluice_delay_ns(&share, share.short_limit_bytes);
}

std::string verdict_now(const Explanation &e, bool shadow) {
    const std::string forward = "forwarded at once";
    if (!e.active)
        return forward + ": the flow has no backlog";
    if (e.unresponsive)
        return (shadow ? "forwarded, for mode is shadow; otherwise what" : std::string("what")) +
               " exceeds its share is dropped (drop_limit): it goes on sending although it loses";
    if (e.delay_ns <= e.target_ns)
        return forward + ": its phantom delay is below the target";
    const std::string would = shadow ? "forwarded, for mode is shadow; otherwise " : "";
    if (e.delay_ns > e.limit_ns)
        return would + "dropped (drop_limit): its phantom delay is above the limit; with ECN it is marked "
                       "while the ring has room";
    return would + "forwarded, marked or dropped by the law: its phantom delay is above the target and below "
                   "the limit";
}

// A measured rate: three digits, no more than is known.
std::string about(uint64_t bytes_per_s) {
    uint64_t unit = 1;
    while (bytes_per_s * 8 / unit >= 1000)
        unit *= 10;
    return print_rate((bytes_per_s * 8 + unit / 2) / unit * unit / 8);
}

std::string ceiling_of(const Share &share, const std::string &what, const std::string &file) {
    std::string amount;
    if (share.ceil_bytes_per_s)
        amount = print_rate(*share.ceil_bytes_per_s);
    else if (share.ceil_fraction)
        amount = std::to_string(std::lround(*share.ceil_fraction * 100)) + "%";
    else
        return {};
    return what + ": ceil " + amount +
           (share.ceil_pos.line ? " (" + file + ":" + std::to_string(share.ceil_pos.line) + ")" : "");
}

// Groups from the innermost outwards.
template <class T>
void add_groups(std::vector<std::string> &out, const std::vector<T> &groups, std::optional<uint32_t> at,
                const std::string &kind, const std::string &file) {
    for (; at; at = groups[*at].parent)
        out.push_back(ceiling_of(groups[*at], kind + " " + groups[*at].name, file));
}

std::vector<std::string> limits_of(const Explanation &e, const Transition &t, const MatchResult &found,
                                   const Port &port) {
    std::vector<std::string> out;
    if (e.active && e.backlog_bytes)
        out.push_back("flow: " + about(e.flow_rate_bytes_per_s) + ", one of " +
                      std::to_string(e.active_flows) + " backlogged in its class");
    const TrafficClass &c = t.classes[found.class_index];
    out.push_back(ceiling_of(c, "class " + c.name, e.policy_file));
    add_groups(out, t.groups, c.parent, "group", e.policy_file);
    if (t.tenants) {
        const Tenant &tenant = t.tenants->list[found.tenant];
        out.push_back(ceiling_of(tenant, "tenant " + tenant.name, e.policy_file));
        add_groups(out, t.tenants->groups, tenant.parent, "tenant group", e.policy_file);
    }
    out.push_back(
        "port " + port.name + ": " + about(e.capacity_bytes_per_s) +
        (port.rate_bytes_per_s ? ", as the policy says or as the link drains" : ", as the link drains"));
    std::erase(out, "");
    return out;
}

} // namespace

// The largest flows of a port by backlog, then by bytes.
void Loop::fill_flows(PortState &state, const PortRuntime &port, uint64_t now_ns) const {
    Maps &maps = dataplane_.maps();
    std::vector<Candidate> found;
    for (uint32_t i = 0; i < port.classes.size(); i++) {
        const auto &list = flows_.flows(port.classes[i].id);
        state.flow_count += static_cast<uint32_t>(list.size());
        for (const auto &entry : list) {
            if (found.size() == kScanned)
                break;
            const sluice_flow &flow = maps.flow(entry.bucket);
            Candidate c{0, flow.bytes, 0, entry.bucket, i};
            set_backlog(c.backlog, c.delay_ns, maps.classes[port.classes[i].id], flow, now_ns);
            found.push_back(c);
        }
    }
    const auto larger = [](const Candidate &a, const Candidate &b) {
        return a.backlog != b.backlog ? a.backlog > b.backlog : a.bytes > b.bytes;
    };
    const size_t top = std::min(kTopFlows, found.size());
    std::partial_sort(found.begin(), found.begin() + static_cast<long>(top), found.end(), larger);
    found.resize(top);
    for (const Candidate &c : found)
        state.flows.push_back(flow_state(port.classes[c.class_index], c.bucket, c.backlog, c.delay_ns));
}

FlowState Loop::flow_state(const ClassRuntime &c, uint32_t bucket, uint64_t backlog,
                           uint64_t delay_ns) const {
    const sluice_flow &flow = dataplane_.maps().flow(bucket);
    const sluice_flow_info &info = dataplane_.maps().flow_info[bucket];
    FlowState state;
    state.class_name = config_of(c).name;
    if (policy_.source.transitions[c.transition].tenants)
        state.tenant = tenant_name(policy_, c);
    state.bucket = bucket;
    state.backlog_bytes = backlog;
    state.delay_ns = delay_ns;
    state.bytes = flow.bytes;
    state.packets = flow.packets;
    state.refused = flow.refused;
    if (info.tag != flow.tag)
        return state; // the bucket was taken over just now
    state.src = address_text(info.family, info.src);
    state.dst = address_text(info.family, info.dst);
    state.sport = info.sport;
    state.dport = info.dport;
    state.family = info.family;
    state.proto = info.proto;
    state.dscp = info.dscp;
    return state;
}

Explanation Loop::explain_in(const PortRuntime &port, uint32_t transition, const PacketKey &key) const {
    Maps &maps = dataplane_.maps();
    const Transition &t = policy_.source.transitions[transition];
    const MatchResult found = match(t, key);
    Explanation e;
    e.ingress_port = key.in;
    e.egress_port = t.to;
    e.mode = t.mode == Mode::shadow ? "shadow" : "enforce";
    e.class_name = t.classes[found.class_index].name;
    if (t.tenants)
        e.tenant = t.tenants->list[found.tenant].name;
    e.policy_file = policy_.source.file;
    e.policy_line = found.pos.line;
    e.by_default = found.by_default;
    e.capacity_bytes_per_s = static_cast<uint64_t>(port.capacity.capacity_bytes_per_s);
    for (uint32_t cpu = 0; cpu < maps.cpus; cpu++)
        e.ring_delay_ns = std::max<uint64_t>(e.ring_delay_ns, maps.ring(port.port, cpu).hook.sojourn_ns);
    for (size_t i = 0; i < port.classes.size(); i++) {
        const ClassRuntime &c = port.classes[i];
        if (c.transition != transition || c.tenant != found.tenant || c.index != found.class_index)
            continue;
        e.active_flows = port.phantoms[i].active_flows;
        e.class_rate_bytes_per_s = static_cast<uint64_t>(port.phantoms[i].service_bytes_per_s);
        e.flow_rate_bytes_per_s = e.class_rate_bytes_per_s / std::max(1u, e.active_flows);
        e.target_ns = static_cast<uint64_t>(std::llround(c.aqm.target_s * 1e9));
        e.limit_ns = static_cast<uint64_t>(std::llround(c.aqm.limit_s * 1e9));
        for (const auto &entry : flows_.flows(c.id)) {
            const sluice_flow_info &info = maps.flow_info[entry.bucket];
            if (info.tag != maps.flow(entry.bucket).tag || !same_flow(info, key, t.isolate))
                continue;
            explain_flow(e, maps.classes[c.id], maps.flow(entry.bucket));
            e.bucket = entry.bucket;
            break;
        }
    }
    e.now = verdict_now(e, t.mode == Mode::shadow);
    e.limits = limits_of(e, t, found, policy_.port(port.port));
    return e;
}

std::vector<Explanation> Loop::explain(const PacketKey &key) const {
    std::lock_guard lock(mutex_);
    std::vector<Explanation> out;
    for (uint32_t i = 0; i < policy_.transitions.size(); i++) {
        const Transition &t = policy_.source.transitions[i];
        for (const auto &from : t.from) {
            if (!key.in.empty() && key.in != from)
                continue;
            PacketKey here = key;
            here.in = from;
            for (const auto &port : ports_)
                if (port.port == policy_.transitions[i].to)
                    out.push_back(explain_in(port, i, here));
        }
    }
    return out;
}

} // namespace sluice
