// The loss ledger as text and as JSON: what became of every frame of every port.
#pragma once

#include <string>

#include "control/snapshot.hpp"

namespace sluice {

std::string format_ledger(const Snapshot &snapshot);

// Frames of all ports that nobody can explain: 0 unless sluice has a bug, or somebody else redirects into a
// port.
bool all_explained(const Snapshot &snapshot);

} // namespace sluice
