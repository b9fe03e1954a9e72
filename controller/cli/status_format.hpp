// A snapshot as people read it: the lines of `tc -s qdisc`, same words, same order.
#pragma once

#include <string>

#include "control/snapshot.hpp"

namespace sluice {

std::string format_status(const Snapshot &snapshot);

} // namespace sluice
