// What a driver can do with XDP, in its own words: generic netlink family `netdev`, Linux 6.3. The words
// change while a device lives: many drivers accept redirected frames only while a program is attached to
// them, veth only while its peer has GRO or a program.
#pragma once

#include <cstdint>
#include <optional>

#include "core/result.hpp"
#include "dataplane/netlink_messages.hpp"

namespace sluice {

// Bits of enum netdev_xdp_act (linux/netdev.h, which Debian 12 does not have).
enum XdpFeature : uint64_t {
    kXdpBasic = 1,      // native XDP: drop, pass, transmit
    kXdpRedirect = 2,   // may redirect what it receives
    kXdpXmit = 4,       // takes frames that others redirect to it: ndo_xdp_xmit
    kXdpReceiveSg = 32, // frames in several buffers, received ...
    kXdpXmitSg = 64,    // ... and transmitted
};

// None: the kernel has no such family (before 6.3), or the device is gone.
Result<std::optional<uint64_t>> xdp_features(uint32_t ifindex);

// None: the kernel does not know it.
Result<std::optional<GenericFamily>> generic_family(Netlink &netlink, const char *name, const char *group);

} // namespace sluice
