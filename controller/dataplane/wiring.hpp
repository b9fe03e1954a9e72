// What programs are loaded for: the ports as the kernel knows them now, how their rings are read, this host.
#pragma once

#include <vector>

#include "dataplane/facts.hpp"
#include "dataplane/port_readers.hpp"

namespace sluice {

struct Wiring {
    std::vector<PortFacts> ports;      // in the order of the policy
    std::vector<sluice_reader> wanted; // readers of their drivers
    RunningLayout readers;             // of these
    uint32_t cpus = 0;                 // possible ones
    uint32_t netns = 0;                // inode of the network namespace
};

// Asks the kernel. A port whose ring reader cannot work here loses it, and says why. `running`: what serves
// `running_policy` now; devices that were renamed since are followed, and where the drivers are the same, the
// kernel's types need not be searched again.
Result<Wiring> survey(const Policy &policy, const Wiring *running, const Policy *running_policy);

} // namespace sluice
