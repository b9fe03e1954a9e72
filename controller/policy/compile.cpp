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

uint64_t dscp_mask(const std::vector<uint8_t> &code_points) {
    uint64_t mask = 0;
    for (uint8_t c : code_points)
        mask |= 1ull << (c & 63);
    return code_points.empty() ? ~0ull : mask;
}

void set_proto(sluice_rule &rule, const std::vector<uint8_t> &protocols) {
    for (auto &word : rule.proto)
        word = protocols.empty() ? ~0ull : 0;
    for (uint8_t p : protocols)
        rule.proto[p >> 6] |= 1ull << (p & 63);
}

void set_prefix(const Prefix &prefix, uint32_t (&address)[4], uint32_t (&mask)[4], uint8_t &family) {
    uint8_t bits[16] = {};
    for (int i = 0; i < prefix.length; i++)
        bits[i / 8] |= static_cast<uint8_t>(0x80 >> (i % 8));
    std::memcpy(address, prefix.address.data(), 16);
    std::memcpy(mask, bits, 16);
    family = static_cast<uint8_t>(prefix.family);
}

sluice_rule compile_match(const Match &match, uint16_t class_id) {
    sluice_rule rule{};
    const PortRange all;
    const PortRange sport = match.sport.value_or(all), dport = match.dport.value_or(all);

    rule.dscp = dscp_mask(match.dscp);
    set_proto(rule, match.proto);
    if (match.src)
        set_prefix(*match.src, rule.src, rule.src_mask, rule.family);
    if (match.dst)
        set_prefix(*match.dst, rule.dst, rule.dst_mask, rule.family);
    rule.sport_first = sport.first;
    rule.sport_last = sport.last;
    rule.dport_first = dport.first;
    rule.dport_last = dport.last;
    rule.need_ports = match.sport || match.dport;
    rule.class_id = class_id;
    return rule;
}

sluice_isolate to_abi(Isolate isolate) {
    switch (isolate) {
    case Isolate::srchost:
        return SLUICE_ISOLATE_SRC;
    case Isolate::dsthost:
        return SLUICE_ISOLATE_DST;
    case Isolate::none:
        return SLUICE_ISOLATE_NONE;
    case Isolate::flow:
        break;
    }
    return SLUICE_ISOLATE_FLOW;
}

CompiledTransition compile_transition(const Policy &policy, const Transition &t, uint32_t first_class) {
    CompiledTransition out;

    for (const auto &name : t.from)
        out.from.push_back(port_index(policy, name));
    out.to = port_index(policy, t.to);
    out.forward = t.forward;
    out.aqm = t.aqm;
    out.first_class = first_class;
    out.image.to = out.to;
    out.image.shadow = t.mode == Mode::shadow;
    out.image.isolate = to_abi(t.isolate);
    out.image.bypass_on_loss = t.on_controller_loss == OnControllerLoss::bypass;
    for (const auto &c : t.classes) {
        const uint32_t id = first_class + static_cast<uint32_t>(out.classes.size());
        const bool mark = t.aqm.ecn && std::find(c.when_full.begin(), c.when_full.end(), Verdict::mark) !=
                                           c.when_full.end();
        out.classes.push_back({c.name, c.priority, c.weight, c.min_bytes_per_s, c.ceil_bytes_per_s,
                               c.min_fraction, c.ceil_fraction, mark});
        for (const auto &m : c.match)
            out.image.rules[out.image.rule_count++] = compile_match(m, static_cast<uint16_t>(id));
        out.image.default_class = id; // the class `default` is the last one
    }
    return out;
}

} // namespace

CompiledPolicy compile(Policy policy) {
    CompiledPolicy out;

    for (const auto &t : policy.transitions) {
        out.transitions.push_back(compile_transition(policy, t, out.class_count));
        out.class_count += static_cast<uint32_t>(t.classes.size());
    }
    out.source = std::move(policy);
    return out;
}

} // namespace sluice
