// The running data path follows its devices: what a second look at the ports means for the programs and the
// maps.
#pragma once

#include <vector>

#include "dataplane/facts.hpp"
#include "dataplane/load.hpp"

namespace sluice {

// The program of `port` has constants that no longer hold: a device that it knows is another one now.
bool needs_new_program(const CompiledPolicy &policy, uint32_t port, const std::vector<PortFacts> &before,
                       const std::vector<PortFacts> &now);

// Anything that the maps, the links or people should know has changed.
bool differs(const std::vector<PortFacts> &before, const std::vector<PortFacts> &now);

// Ports that can take redirected frames are in the devmap, the others are not: a redirect that finds no entry
// leaves the frame to the kernel. Sets PortFacts::in_service.
Result<> serve_ports(const Instance &instance, const CompiledPolicy &policy, std::vector<PortFacts> &ports);

} // namespace sluice
