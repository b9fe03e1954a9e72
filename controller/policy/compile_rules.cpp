// Match entries -> one bitmap per value of each field (abi.h, "Matching is by bitmaps").
#include <algorithm>
#include <cstring>
#include <functional>

#include "policy/compile.hpp"

namespace sluice {
namespace {

struct Rule {
    const Match *match;
    uint64_t bit;
    uint16_t class_index;
};

using Criterion = std::function<bool(const Match &)>;

std::vector<Rule> rules_of(const Transition &t) {
    std::vector<Rule> rules;
    for (size_t c = 0; c < t.classes.size(); c++)
        for (const Match &m : t.classes[c].match)
            rules.push_back({&m, 1ull << rules.size(), static_cast<uint16_t>(c)});
    return rules;
}

uint64_t those(const std::vector<Rule> &rules, const Criterion &hold) {
    uint64_t bits = 0;
    for (const Rule &r : rules)
        if (hold(*r.match))
            bits |= r.bit;
    return bits;
}

template <class T> bool allows(const std::vector<T> &list, const T &value) {
    return list.empty() || std::find(list.begin(), list.end(), value) != list.end();
}

using RangeOf = std::optional<PortRange> Match::*;

// Every bound of a range begins a new interval; within one, the same rules hold.
sluice_ranges ranges(const std::vector<Rule> &rules, RangeOf field) {
    std::vector<uint32_t> starts{0};
    for (const Rule &r : rules)
        if (const auto &range = r.match->*field) {
            starts.push_back(range->first);
            starts.push_back(range->last + 1u);
        }
    std::sort(starts.begin(), starts.end());
    starts.erase(std::unique(starts.begin(), starts.end()), starts.end());
    sluice_ranges out{};
    for (uint32_t start : starts) {
        if (start > 0xffff)
            break;
        out.first[out.count] = static_cast<uint16_t>(start);
        out.rules[out.count++] = those(rules, [&](const Match &m) {
            const auto &range = m.*field;
            return !range || (range->first <= start && start <= range->last);
        });
    }
    return out;
}

void fill_fields(const Policy &policy, const std::vector<Rule> &rules, sluice_transition &image) {
    image.rule_count = static_cast<uint32_t>(rules.size());
    for (size_t i = 0; i < rules.size(); i++)
        image.class_of[i] = rules[i].class_index;
    for (uint8_t v = 0; v < 64; v++)
        image.dscp[v] = those(rules, [&](const Match &m) { return allows(m.dscp, v); });
    for (unsigned v = 0; v < 256; v++)
        image.proto[v] =
            those(rules, [&](const Match &m) { return allows(m.proto, static_cast<uint8_t>(v)); });
    for (uint8_t v = 0; v < 8; v++)
        image.pcp[v] = those(rules, [&](const Match &m) { return allows(m.pcp, v); });
    image.pcp[8] = those(rules, [](const Match &m) { return m.pcp.empty(); });
    image.untagged = those(rules, [](const Match &m) { return !m.vlan; });
    for (size_t p = 0; p < policy.ports.size(); p++)
        image.ingress[p] = those(rules, [&](const Match &m) { return allows(m.in, policy.ports[p].name); });
    image.not_ip = those(rules, [](const Match &m) {
        return m.dscp.empty() && m.proto.empty() && m.src.empty() && m.dst.empty() && !m.sport && !m.dport;
    });
    image.no_ports = those(rules, [](const Match &m) { return !m.sport && !m.dport; });
    image.sport = ranges(rules, &Match::sport);
    image.dport = ranges(rules, &Match::dport);
    image.vlan = ranges(rules, &Match::vlan);
    image.length = ranges(rules, &Match::length);
    const auto any = [&](const Criterion &asks) { return those(rules, asks) != 0; };
    image.by_ports = any([](const Match &m) { return m.sport || m.dport; });
    image.by_vlan = any([](const Match &m) { return m.vlan.has_value(); });
    image.by_length = any([](const Match &m) { return m.length.has_value(); });
}

bool covers(const Prefix &wide, const Prefix &narrow) {
    if (wide.family != narrow.family || wide.length > narrow.length)
        return false;
    const size_t whole = wide.length / 8, rest = wide.length % 8;
    if (std::memcmp(wide.address.data(), narrow.address.data(), whole) != 0)
        return false;
    const auto mask = static_cast<uint8_t>(0xff00 >> rest);
    return rest == 0 || ((wide.address[whole] ^ narrow.address[whole]) & mask) == 0;
}

bool same(const Prefix &a, const Prefix &b) {
    return a.family == b.family && a.length == b.length && a.address == b.address;
}

struct TenantPrefix {
    Prefix prefix;
    uint32_t tenant;
};

// One direction's prefixes: each carries the rules of all prefixes around it and the tenant of the nearest.
class PrefixTable {
  public:
    PrefixTable(const std::vector<Rule> &rules, std::vector<Prefix> Match::*field,
                std::vector<TenantPrefix> tenants, sluice_prefix_table table)
        : rules_(rules), field_(field), tenants_(std::move(tenants)), table_(table) {
        for (const Rule &r : rules)
            for (const Prefix &p : r.match->*field)
                if (std::none_of(of_rules_.begin(), of_rules_.end(),
                                 [&](const Prefix &o) { return same(o, p); }))
                    of_rules_.push_back(p);
    }

    uint64_t any() const {
        return those(rules_, [&](const Match &m) { return (m.*field_).empty(); });
    }
    bool needed() const { return !of_rules_.empty() || !tenants_.empty(); }

    void append(std::vector<CompiledPrefix> &out) const {
        for (const TenantPrefix &t : tenants_)
            out.push_back(entry(t.prefix, t.tenant));
        for (const Prefix &p : of_rules_)
            if (std::none_of(tenants_.begin(), tenants_.end(),
                             [&](const auto &t) { return same(t.prefix, p); }))
                out.push_back(entry(p, nearest_tenant(p)));
    }

  private:
    uint32_t nearest_tenant(const Prefix &p) const {
        const TenantPrefix *nearest = nullptr;
        for (const TenantPrefix &t : tenants_)
            if (covers(t.prefix, p) && (!nearest || t.prefix.length > nearest->prefix.length))
                nearest = &t;
        return nearest ? nearest->tenant : 0;
    }

    CompiledPrefix entry(const Prefix &p, uint32_t tenant) const {
        CompiledPrefix out;
        out.key.bits = 32u + p.length;
        out.key.table = table_ * 2u + (p.family == 6);
        std::memcpy(out.key.address, p.address.data(), 16);
        out.value.tenant = tenant;
        out.value.rules = those(rules_, [&](const Match &m) {
            const auto &list = m.*field_;
            return list.empty() ||
                   std::any_of(list.begin(), list.end(), [&](const Prefix &w) { return covers(w, p); });
        });
        return out;
    }

    const std::vector<Rule> &rules_;
    std::vector<Prefix> Match::*field_;
    std::vector<TenantPrefix> tenants_;
    sluice_prefix_table table_;
    std::vector<Prefix> of_rules_;
};

std::vector<TenantPrefix> tenant_prefixes(const Transition &t, TenantKey by) {
    std::vector<TenantPrefix> out;
    if (!t.tenants || t.tenants->by != by)
        return out;
    for (uint32_t i = 0; i < t.tenants->list.size(); i++)
        for (const Prefix &p : t.tenants->list[i].prefixes)
            out.push_back({p, i});
    return out;
}

void append_vlans(const Tenants &tenants, std::vector<CompiledPrefix> &out) {
    for (uint32_t i = 0; i < tenants.list.size(); i++)
        for (uint16_t vlan : tenants.list[i].vlans) {
            CompiledPrefix p;
            p.key.bits = 64;
            p.key.table = SLUICE_BY_VLAN * 2;
            p.key.address[0] = vlan;
            p.value.tenant = i;
            out.push_back(p);
        }
}

} // namespace

void compile_rules(const Policy &policy, const Transition &from, CompiledTransition &t) {
    const std::vector<Rule> rules = rules_of(from);
    fill_fields(policy, rules, t.image);
    const PrefixTable src(rules, &Match::src, tenant_prefixes(from, TenantKey::src), SLUICE_BY_SRC);
    const PrefixTable dst(rules, &Match::dst, tenant_prefixes(from, TenantKey::dst), SLUICE_BY_DST);
    t.image.any_src = src.any();
    t.image.any_dst = dst.any();
    t.image.lookups = (src.needed() ? 1u << SLUICE_BY_SRC : 0) | (dst.needed() ? 1u << SLUICE_BY_DST : 0);
    src.append(t.prefixes);
    dst.append(t.prefixes);
    if (from.tenants && from.tenants->by == TenantKey::vlan) {
        t.image.lookups |= 1u << SLUICE_BY_VLAN;
        append_vlans(*from.tenants, t.prefixes);
    }
}

} // namespace sluice
