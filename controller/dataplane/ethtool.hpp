// What `ethtool` shows of an interface, asked by ioctl: every driver and kernel answers those.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace sluice {

struct RingSizes {
    uint32_t rx = 0, tx = 0, most_rx = 0, most_tx = 0; // descriptors
};
struct Channels {
    uint32_t rx = 0, tx = 0, combined = 0;
};

// Empty when the driver does not say.
std::string driver_of(const std::string &device);
std::optional<RingSizes> ring_sizes(const std::string &device);
std::optional<Channels> channels(const std::string &device);
std::optional<bool> generic_receive_offload(const std::string &device);
// Takes 802.1Q tags out of received frames (rx-vlan-offload).
std::optional<bool> strips_vlan_tags(const std::string &device);
// What was negotiated, or what a virtual device claims. None: no link, or unknown.
std::optional<uint64_t> link_speed_bits_per_s(const std::string &device);

} // namespace sluice
