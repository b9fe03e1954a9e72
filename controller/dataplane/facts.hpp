// What the dataplane found out about a port and did with it.
#pragma once

#include <sluice/abi.h>

#include <string>
#include <vector>

#include "dataplane/netdev.hpp"
#include "policy/compile.hpp"

namespace sluice {

struct PortFacts {
    Netdev dev;
    sluice_reader reader = SLUICE_READER_NONE;
    std::string xdp_mode; // "native", "generic", or "" where no program is attached
    std::string degraded; // reason and cure; empty when all is well
};

// Facts of every port of the policy, in its order. Error: an interface does not exist.
Result<std::vector<PortFacts>> query_ports(const Policy &policy);

} // namespace sluice
