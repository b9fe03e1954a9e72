// What the kernel's messages say, told apart from asking for them: pure functions of one message, which take
// any bytes that a message can hold (tests/fuzz/netlink_fuzz.cpp).
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include "dataplane/netdev.hpp"
#include "dataplane/netlink.hpp"

namespace sluice {

// RTM_NEWLINK. Without `driver`, which ethtool knows.
Netdev netdev_of(const nlmsghdr *message);

// A generic netlink family of the running kernel: its id, and one of its multicast groups (0: not there).
struct GenericFamily {
    uint16_t id = 0;
    uint32_t group = 0;
};
// CTRL_CMD_NEWFAMILY.
GenericFamily family_of(const nlmsghdr *message, const std::string &group);

// Answer of family `netdev` to NETDEV_CMD_DEV_GET: bits of XdpFeature. None: the message does not say.
std::optional<uint64_t> xdp_features_of(const nlmsghdr *message);

// RTM_NEWQDISC, of a root.
struct QdiscStats {
    uint32_t waiting_packets = 0, waiting_bytes = 0;
    uint64_t sent_packets = 0, sent_bytes = 0; // counters
    uint32_t drops = 0;                        // counter, of 32 bits in the kernel
};
struct RootQdisc {
    uint32_t handle = 0; // 0: the kernel's default
    std::string kind;
    QdiscStats stats;
};
RootQdisc qdisc_of(const nlmsghdr *message);

// Devices whose changes matter; of the others there may be thousands.
struct WatchedDevices {
    std::set<uint32_t> ifindexes;
    std::set<std::string> names;
};
// Whether a notification is about one of them. RTM_*LINK: by index, by name where the device is new,
// and of any VLAN interface.
// RTM_*QDISC: by index.
bool concerns(const nlmsghdr *message, const WatchedDevices &watched);

} // namespace sluice
