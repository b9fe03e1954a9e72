// Facts about an interface of this network namespace, asked from the kernel when needed, never cached.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/result.hpp"

namespace sluice {

struct Netdev {
    std::string name;
    uint32_t ifindex = 0;
    uint32_t mtu = 0;
    bool up = false;      // administratively
    bool carrier = false; // and somebody is at the other end
    std::array<uint8_t, 6> mac{};
    std::string driver;    // as ethtool -i says; empty when the driver does not say
    std::string kind;      // of a virtual device, as `ip link add type` says: "veth", "bridge", ...
    uint32_t master = 0;   // the bridge, bond or VRF that it belongs to
    uint32_t vlan_tag = 0; // of a VLAN interface: SLUICE_TAG()
    uint32_t lower = 0;    // of a VLAN interface: the one below it; 0: in another namespace
    uint32_t xdp_prog = 0; // id of an XDP program that is attached, whoever did it
};

// By its name, or one of its alternative names.
Result<Netdev> query_netdev(const std::string &name);
// None: no such interface in this namespace (any more).
Result<std::optional<Netdev>> find_netdev(const std::string &name);
Result<std::optional<Netdev>> find_netdev(uint32_t ifindex);
// All but loopback.
Result<std::vector<Netdev>> list_netdevs();
// VLAN interfaces, without `driver`.
Result<std::vector<Netdev>> list_vlans();

// Inode of the network namespace of this process: what tells one from another.
Result<uint32_t> this_netns();

} // namespace sluice
