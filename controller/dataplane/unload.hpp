// The end of a pinned data path: the only way that it goes.
#pragma once

#include <string>
#include <vector>

#include "core/result.hpp"

namespace sluice {

struct Unloaded {
    std::vector<std::string> interfaces; // whose programs were detached
};

// Detaches what is pinned under `pin_path` and removes the pins; the folder too, if its parent allows. Busy
// while a sluiced owns it.
Result<Unloaded> unload(const std::string &pin_path);

} // namespace sluice
