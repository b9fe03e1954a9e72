// What the dataplane found out about a port and did with it.
#pragma once

#include <sluice/rings/table.h>

#include <string>
#include <vector>

#include "dataplane/netdev.hpp"
#include "dataplane/preflight.hpp"
#include "policy/compile.hpp"

namespace sluice {

struct PortFacts {
    Netdev dev;             // the last that was there, where it is missing
    bool has_vlans = false; // the kernel routes frames with VLAN tags that arrive there
    bool missing = false;   // no such interface now; ifindex 0: there never was
    bool in_service = true; // frames may be redirected to it: it is in the devmap
    Preflight preflight;
    sluice_reader reader = SLUICE_READER_NONE;
    sluice_trust trust = SLUICE_TRUST_NONE; // of its readings
    std::string reader_note;                // why the readings do not count; empty when they do
    std::string xdp_mode;                   // "native", "generic", "tc", or "" where no program is attached
    std::string xdp_refused;                // why tc stands in for XDP
    std::string degraded;                   // reason and cure; empty when all is well

    // The tracepoints of redirected frames hear those of this port.
    bool redirects_natively() const { return xdp_mode != "generic" && xdp_mode != "tc"; }
    // The ring's reading is believed: drain rate, guard and headroom go by it. Else the port runs on its
    // rate, and a reading is a cross-check.
    bool ring_rules() const { return trust > SLUICE_TRUST_LOW; }
};

// Facts of every port of the policy, in its order. `known`: an earlier answer; a device that was renamed
// since then is followed, unless another one has its name now.
Result<std::vector<PortFacts>> query_ports(const Policy &policy,
                                           const std::vector<PortFacts> *known = nullptr);

} // namespace sluice
