// Text of `sluicectl features`: a table, and below it what is missing, with the cure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "dataplane/kernel_support.hpp"
#include "dataplane/preflight.hpp"

namespace sluice {

std::string_view ability_word(Ability ability); // "yes", "no", "with_program", "unknown"
std::string format_features(const KernelSupport &kernel, const std::vector<Preflight> &interfaces);

} // namespace sluice
