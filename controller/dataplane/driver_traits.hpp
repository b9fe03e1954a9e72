// What is known of a driver beyond its TX ring (rings/table.h), and its netlink flags do not say: a row each.
#pragma once

#include <cstdint>
#include <string_view>

namespace sluice {

struct DriverTraits {
    std::string_view driver;    // as ethtool -i says
    bool native = false;        // has native XDP; asked only where the kernel does not say (before 6.3)
    bool wants_program = false; // takes redirected frames only while an XDP program is attached to it
    uint32_t linear_mtu = 0;    // largest MTU with a program that is not xdp.frags; 0 = no limit known
    bool real_speed = true;     // the speed it shows is that of a wire
};

// A row of zeros for a driver that is not in the table.
const DriverTraits &driver_traits(std::string_view driver);

} // namespace sluice
