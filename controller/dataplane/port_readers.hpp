// Which ring reader each port gets, and whether it can work on this kernel.
#pragma once

#include <vector>

#include "dataplane/facts.hpp"
#include "dataplane/ring_layout.hpp"

namespace sluice {

// The reader of the port's driver, with its trust.
void choose_reader(PortFacts &facts);

// The readers of all ports, each once.
std::vector<sluice_reader> wanted_readers(const std::vector<PortFacts> &ports);

// A port whose reader cannot work on this kernel loses it, and says why.
void settle_readers(std::vector<PortFacts> &ports, const RunningLayout &found);

} // namespace sluice
