// A private network namespace with one fast and one slow veth pair, routes and permanent neighbours, and the
// frames that cross it: source - fast0 [XDP] - slow0 - slow1 [recycler].
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "core/result.hpp"

namespace sluice::bench {

using Mac = std::array<uint8_t, 6>;
constexpr Mac kSourceMac{2, 0, 0, 0, 0, 1}, kFastMac{2, 0, 0, 0, 0, 2}, kSlowMac{2, 0, 0, 0, 0, 3},
    kSinkMac{2, 0, 0, 0, 0, 4};
constexpr const char *kFast = "fast0", *kSlow = "slow0", *kSlowPeer = "slow1";

enum class Family { ipv4, ipv6 };

struct World {
    uint32_t fast = 0, slow = 0, slow_peer = 0; // ifindex
};

// Moves this process into a namespace of its own, which ends with it. Call before the first thread starts.
Result<World> enter_world();

// A smallest Ethernet frame (64 bytes with FCS would be 60 here; 64 leaves room for IPv6 and UDP headers).
std::vector<uint8_t> make_frame(Family family);

} // namespace sluice::bench
