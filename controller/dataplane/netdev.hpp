// Facts about an interface of this network namespace, asked from the kernel when needed, never cached.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "core/result.hpp"

namespace sluice {

struct Netdev {
    std::string name;
    uint32_t ifindex = 0;
    uint32_t mtu = 0;
    bool up = false;
    std::array<uint8_t, 6> mac{};
    std::string driver; // as ethtool -i says; empty when the driver does not say
};

Result<Netdev> query_netdev(const std::string &name);

} // namespace sluice
