// How every subcommand says that it failed: a sentence for people, an object for programs.
#pragma once

#include "cli/commands.hpp"
#include "core/result.hpp"

namespace sluice {

ExitCode report_error(const Context &context, const Error &error);

} // namespace sluice
