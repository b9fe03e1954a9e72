// The kernel's VLAN interfaces on ports: what `forward: fib` must know to route from and to them, since XDP
// sees the frames of the device below with their tags.
#pragma once

#include <map>
#include <tuple>
#include <vector>

#include "dataplane/facts.hpp"
#include "dataplane/load.hpp"

namespace sluice {

// From and to, as in map sl_vlans. Interfaces that the kernel would not route by are left out: those that are
// down, belong to a bridge, a bond or a VRF, or have more than two tags; and on the way in those with a MAC
// address other than their port's.
struct PlaceOrder {
    bool operator()(const sluice_place &a, const sluice_place &b) const {
        return std::tie(a.ifindex, a.tags) < std::tie(b.ifindex, b.tags);
    }
};
using VlanPlaces = std::map<sluice_place, sluice_place, PlaceOrder>;
VlanPlaces vlan_places(const std::vector<Netdev> &vlans, const std::vector<PortFacts> &ports);

// Brings the map up to date with the interfaces that are there now, as far as it has room, and
// PortFacts::has_vlans.
Result<> follow_vlans(const Instance &instance, std::vector<PortFacts> &ports);

} // namespace sluice
