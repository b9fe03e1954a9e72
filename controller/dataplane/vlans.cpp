#include "dataplane/vlans.hpp"

#include <algorithm>
#include <cerrno>

#include <bpf/bpf.h>

namespace sluice {
namespace {

bool is_routed(const Netdev &vlan) {
    return vlan.vlan_tag && vlan.up && !vlan.master;
}

Result<> remove_others(int map, const VlanPlaces &wanted) {
    std::vector<sluice_place> old;
    sluice_place key{};
    for (void *previous = nullptr; bpf_map_get_next_key(map, previous, &key) == 0; previous = &key)
        if (!wanted.contains(key))
            old.push_back(key);
    for (const auto &k : old)
        if (bpf_map_delete_elem(map, &k) != 0 && errno != ENOENT)
            return fail_errno(errno, "remove a VLAN interface that is gone");
    return {};
}

} // namespace

VlanPlaces vlan_places(const std::vector<Netdev> &vlans, const std::vector<PortFacts> &ports) {
    std::map<uint32_t, const PortFacts *> port_of;
    std::map<uint32_t, const Netdev *> vlan_of;
    for (const PortFacts &port : ports)
        if (!port.missing)
            port_of.emplace(port.dev.ifindex, &port);
    for (const Netdev &vlan : vlans)
        if (is_routed(vlan))
            vlan_of.emplace(vlan.ifindex, &vlan);
    VlanPlaces places;
    for (const auto &[ifindex, vlan] : vlan_of) {
        sluice_place place{vlan->lower, vlan->vlan_tag};
        const auto outer = vlan_of.find(vlan->lower);
        if (!port_of.contains(vlan->lower) && outer != vlan_of.end()) // a tag within a tag
            place = {outer->second->lower, outer->second->vlan_tag | vlan->vlan_tag << 16};
        const auto port = port_of.find(place.ifindex);
        if (port == port_of.end())
            continue;
        const sluice_place untagged{ifindex, 0};
        places.emplace(untagged, place);
        if (vlan->mac == port->second->dev.mac)
            places.emplace(place, untagged);
    }
    return places;
}

Result<> follow_vlans(const Instance &instance, std::vector<PortFacts> &ports) {
    const auto vlans = list_vlans();
    if (!vlans)
        return tl::unexpected(vlans.error());
    const int map = instance.map("sl_vlans");
    const VlanPlaces wanted = vlan_places(*vlans, ports);
    for (PortFacts &port : ports)
        port.has_vlans = std::any_of(wanted.begin(), wanted.end(), [&](const auto &w) {
            return w.first.tags && w.first.ifindex == port.dev.ifindex;
        });
    if (auto r = remove_others(map, wanted); !r)
        return r;
    for (const auto &[from, to] : wanted) {
        sluice_place known{};
        if (bpf_map_lookup_elem(map, &from, &known) == 0 && known.ifindex == to.ifindex &&
            known.tags == to.tags)
            continue;
        if (bpf_map_update_elem(map, &from, &to, BPF_ANY) == 0)
            continue;
        if (errno == E2BIG)
            break; // the others stay the kernel's
        return fail_errno(errno, "enter a VLAN interface");
    }
    return {};
}

} // namespace sluice
