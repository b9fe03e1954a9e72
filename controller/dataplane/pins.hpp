// Programs, maps and links of an instance as pins, and back. Opens objects by path, never by id.
#pragma once

#include <filesystem>

#include "dataplane/data_path.hpp"

namespace sluice {

// Makes the folder `path.pins` say what `path` is: maps and programs, and what they were loaded for. What is
// pinned already stays; an object that has taken the place of another replaces it.
Result<> pin_programs(const DataPath &path);
// Likewise with what attaches them, and removes the pins of what is no longer attached.
Result<> pin_links(const DataPath &path);

// What is pinned in this folder, of whatever contract and however complete: links of interfaces that still
// exist, their programs, and the maps if they are of our contract.
DataPath read_pins(const std::filesystem::path &instance);

// `path` serves `policy`, which has this identity, as if it had been loaded for it: every program attached
// where it must be. Errors say what is different.
Result<> check_adoptable(DataPath &path, const CompiledPolicy &policy, const Wiring &wiring,
                         const std::string &identity);

} // namespace sluice
