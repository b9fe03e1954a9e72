#include "policy/match.hpp"

#include <algorithm>
#include <cstring>

namespace sluice {
namespace {

template <class T> bool has(const std::vector<T> &list, const T &value) {
    return std::find(list.begin(), list.end(), value) != list.end();
}

bool within(const std::optional<PortRange> &range, uint16_t value) {
    return !range || (range->first <= value && value <= range->last);
}

bool contains(const Prefix &prefix, int family, const std::array<uint8_t, 16> &address) {
    if (prefix.family != family)
        return false;
    for (unsigned bit = 0; bit < prefix.length; bit++) {
        const auto mask = static_cast<uint8_t>(0x80 >> (bit % 8));
        if ((prefix.address[bit / 8] ^ address[bit / 8]) & mask)
            return false;
    }
    return true;
}

bool any_contains(const std::vector<Prefix> &list, int family, const std::array<uint8_t, 16> &address) {
    return list.empty() || std::any_of(list.begin(), list.end(),
                                       [&](const Prefix &p) { return contains(p, family, address); });
}

bool asks_about_ip(const Match &m) {
    return !m.dscp.empty() || !m.proto.empty() || !m.src.empty() || !m.dst.empty() || m.sport || m.dport;
}

bool holds(const Match &m, const PacketKey &k) {
    if (!m.in.empty() && !has(m.in, k.in))
        return false;
    if (m.vlan && !(k.vlan && within(m.vlan, *k.vlan)))
        return false;
    if (!m.pcp.empty() && !(k.vlan && has(m.pcp, k.pcp)))
        return false;
    if (!within(m.length, k.length))
        return false;
    if (!k.family)
        return !asks_about_ip(m);
    if ((m.sport || m.dport) && !(k.has_ports && within(m.sport, k.sport) && within(m.dport, k.dport)))
        return false;
    return (m.dscp.empty() || has(m.dscp, k.dscp)) && (m.proto.empty() || has(m.proto, k.proto)) &&
           any_contains(m.src, k.family, k.src) && any_contains(m.dst, k.family, k.dst);
}

// The tenant with the longest prefix around the address, or the one of the VLAN.
uint32_t tenant_of(const Tenants &tenants, const PacketKey &k) {
    uint32_t best = 0;
    int longest = -1;
    for (uint32_t i = 0; i < tenants.list.size(); i++) {
        const Tenant &t = tenants.list[i];
        if (tenants.by == TenantKey::vlan) {
            if (k.vlan && has(t.vlans, *k.vlan))
                return i;
            continue;
        }
        const auto &address = tenants.by == TenantKey::src ? k.src : k.dst;
        for (const Prefix &p : t.prefixes)
            if (k.family && p.length > longest && contains(p, k.family, address)) {
                best = i;
                longest = p.length;
            }
    }
    return best;
}

} // namespace

MatchResult match(const Transition &transition, const PacketKey &key) {
    MatchResult result;
    if (transition.tenants)
        result.tenant = tenant_of(*transition.tenants, key);
    for (uint32_t c = 0; c < transition.classes.size(); c++)
        for (const Match &m : transition.classes[c].match)
            if (holds(m, key)) {
                result.class_index = c;
                result.pos = m.pos;
                return result;
            }
    result.class_index = static_cast<uint32_t>(transition.classes.size()) - 1;
    result.pos = transition.classes.back().pos.line ? transition.classes.back().pos : transition.pos;
    result.by_default = true;
    return result;
}

} // namespace sluice
