// `sluicectl support-bundle`: what one needs to judge a host from afar, in one archive. Works without a
// running daemon, then without what only the daemon knows.
#pragma once

#include <string>

#include "cli/commands.hpp"

namespace sluice {

// Writes a gzipped tar archive, readable by its owner only. Addresses and names of this host are in it,
// captured packets, keys and passwords are not.
ExitCode run_support_bundle(const Context &context, const std::string &file);

} // namespace sluice
