// Which ring reader each port gets, and whether it can work on this kernel.
#pragma once

#include <vector>

#include "dataplane/facts.hpp"
#include "dataplane/ring_layout.hpp"

namespace sluice {

// The reader of the port's driver, with its trust.
void choose_reader(PortFacts &facts);

// Layout for the readers of all ports. A port whose reader cannot work here loses it, and says why.
Result<RunningLayout> settle_readers(std::vector<PortFacts> &ports);

} // namespace sluice
