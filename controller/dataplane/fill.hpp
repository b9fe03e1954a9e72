// Policy -> maps. Knows the layout of the shared maps; loads and attaches nothing.
#pragma once

#include <vector>

#include "dataplane/load.hpp"

namespace sluice {

void fill_ports(Maps &maps, const CompiledPolicy &policy, const std::vector<PortFacts> &facts);

// Class ids of a generation start at its base, so that the classes of two generations never share state.
Result<> fill_generation(const Instance &instance, Maps &maps, const CompiledPolicy &policy,
                         uint32_t generation);

// Where frames for each port go, and which port an interface is.
Result<> fill_devmap(const Instance &instance, const CompiledPolicy &policy,
                     const std::vector<PortFacts> &facts);

} // namespace sluice
