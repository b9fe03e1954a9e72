#include "policy/compile.hpp"

#include <algorithm>
#include <cstring>

namespace sluice {
namespace {

uint32_t port_index(const Policy &policy, const std::string &name) {
    auto it =
        std::find_if(policy.ports.begin(), policy.ports.end(), [&](const Port &p) { return p.name == name; });
    return static_cast<uint32_t>(it - policy.ports.begin());
}

// The enumerators of both have the same order.
sluice_isolate to_abi(Isolate isolate) {
    static_assert(static_cast<int>(Isolate::dual_srchost) == SLUICE_ISOLATE_DUAL_SRC &&
                  static_cast<int>(Isolate::none) == SLUICE_ISOLATE_NONE);
    return static_cast<sluice_isolate>(isolate);
}

// The enumerators of both have the same order; `mark` lets a packet join, `drop` is what is left.
uint16_t to_ways(const std::vector<Verdict> &when_full) {
    static_assert(static_cast<int>(Verdict::spill) == SLUICE_WAY_SPILL &&
                  static_cast<int>(Verdict::bounce) == SLUICE_WAY_BOUNCE);
    uint32_t ways = 0, shift = 0;
    for (Verdict v : when_full)
        if (v != Verdict::mark && v != Verdict::drop) {
            ways |= static_cast<uint32_t>(v) << shift;
            shift += SLUICE_WAY_BITS;
        }
    return static_cast<uint16_t>(ways);
}

CompiledClass compile_class(const Transition &t, const TrafficClass &c) {
    const Aqm &aqm = c.aqm ? *c.aqm : t.aqm;
    const bool may_mark =
        std::find(c.when_full.begin(), c.when_full.end(), Verdict::mark) != c.when_full.end();
    const auto dscp = [](const std::optional<uint8_t> &value) {
        return value ? static_cast<uint8_t>(SLUICE_REMARK | *value) : uint8_t{0};
    };
    return {c.name,           aqm, dscp(c.remark), aqm.ecn && may_mark, to_ways(c.when_full), c.trim.bytes,
            dscp(c.trim.dscp)};
}

void compile_overflow(const Policy &policy, const Transition &t, sluice_transition &image) {
    image.flowlet = SLUICE_AWAY_TICK(t.flowlet_ns);
    for (const auto &name : t.overflow)
        for (uint32_t i = 0; i < policy.transitions.size(); i++)
            if (policy.transitions[i].to == name && covers(policy.transitions[i], t) &&
                image.overflow_count < SLUICE_MAX_OVERFLOW)
                image.overflow[image.overflow_count++] = i;
    for (const Prefix &hop : policy.ports[port_index(policy, t.to)].next_hop)
        if (hop.family == 4)
            std::memcpy(&image.next_hop4, hop.address.data(), 4);
        else
            std::memcpy(image.next_hop6, hop.address.data(), 16);
}

CompiledTransition compile_transition(const Policy &policy, const Transition &t, uint32_t first_class) {
    CompiledTransition out;

    // With `forward: library` somebody else's program runs on these ports: there is nothing to attach.
    if (t.forward != Forward::library)
        for (const auto &name : t.from)
            out.from.push_back(port_index(policy, name));
    out.to = port_index(policy, t.to);
    out.forward = t.forward;
    out.first_class = first_class;
    for (const auto &c : t.classes)
        out.classes.push_back(compile_class(t, c));
    out.image.to = out.to;
    out.image.shadow = t.mode == Mode::shadow;
    out.image.isolate = to_abi(t.isolate);
    out.image.bypass_on_loss = t.on_controller_loss == OnControllerLoss::bypass;
    out.image.first_class = first_class;
    compile_overflow(policy, t, out.image);
    out.image.default_class = static_cast<uint16_t>(t.classes.size() - 1); // `default` is the last one
    if (t.tenants) {
        out.tenants = static_cast<uint32_t>(t.tenants->list.size());
        out.image.tenants = out.tenants;
        out.image.tenant_classes = static_cast<uint32_t>(t.classes.size());
    }
    compile_rules(policy, t, out);
    return out;
}

} // namespace

bool covers(const Transition &t, const Transition &other) {
    return std::all_of(other.from.begin(), other.from.end(), [&](const std::string &port) {
        return std::find(t.from.begin(), t.from.end(), port) != t.from.end();
    });
}

CompiledPolicy compile(Policy policy) {
    CompiledPolicy out;

    for (const auto &t : policy.transitions) {
        out.transitions.push_back(compile_transition(policy, t, out.class_count));
        out.class_count += out.transitions.back().class_count();
    }
    out.source = std::move(policy);
    return out;
}

} // namespace sluice
