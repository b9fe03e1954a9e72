// What an interface can do for sluice, found out before anything is attached: XDP modes, whether it takes
// redirected frames, whose ring reader fits, limits; and what is missing, with its cure. Asks, changes
// nothing.
#pragma once

#include <sluice/rings/table.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/ethtool.hpp"
#include "dataplane/netdev.hpp"

namespace sluice {

// Something that an operator should know. `hurts`: the port does less than its policy asks while it lasts.
struct Finding {
    std::string what;
    std::string cure; // empty when there is nothing to do
    bool hurts = true;
};

enum class Ability { no, yes, with_program, unknown };

struct Preflight {
    Netdev dev;
    std::optional<uint64_t> features; // enum XdpFeature; none: the kernel does not say (before 6.3)
    Ability native = Ability::unknown;
    Ability xmit = Ability::unknown; // takes frames that are redirected to it
    // Receives frames in several buffers, with an xdp.frags program. Kernels before 6.3, which do not say,
    // refuse to redirect such frames, and would lose all of them.
    bool frags = false;
    uint32_t linear_mtu = 0; // largest MTU without; 0 = no limit known
    sluice_reader reader = SLUICE_READER_NONE;
    sluice_trust trust = SLUICE_TRUST_NONE;
    std::string reader_note; // why its reading does not count; empty when it does
    std::optional<RingSizes> rings;
    std::optional<Channels> channels;
    std::optional<bool> gro;
    bool strips_tags = false; // a card that takes VLAN tags out of frames before XDP sees them
    std::optional<uint64_t> speed_bits_per_s; // of a wire; none for virtual devices, and without a link

    bool mtu_fits() const { return !linear_mtu || dev.mtu <= linear_mtu || frags; }
};

Preflight preflight(const Netdev &dev);

// What stands in the way of receiving with XDP, and of being redirected to; in this order.
std::vector<Finding> receive_findings(const Preflight &p);
std::vector<Finding> transmit_findings(const Preflight &p);

// Reason and cure of VLAN tags that XDP cannot see. `hurts` only where tagged frames shall be forwarded.
Finding tags_finding(const Preflight &p, bool hurts);

// Reason and cure of MTU `p.dev.mtu` that the driver cannot take in native mode.
Finding mtu_finding(const Preflight &p);

} // namespace sluice
