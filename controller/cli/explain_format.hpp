// An explanation for a terminal.
#pragma once

#include <string>

#include "control/explanation.hpp"

namespace sluice {

std::string format_explanation(const Explanation &explanation);

} // namespace sluice
