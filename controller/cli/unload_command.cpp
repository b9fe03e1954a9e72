// Works on the pins themselves: the daemon that made them is gone.
#include <ostream>

#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "cli/report_error.hpp"
#include "dataplane/unload.hpp"

namespace sluice {

ExitCode run_unload(const Context &context, const std::string &pin_path) {
    const auto done = unload(pin_path);
    if (!done) {
        report_error(context, done.error());
        return done.error().kind == ErrorKind::busy ? ExitCode::degraded : ExitCode::failed;
    }
    if (context.format == OutputFormat::json) {
        context.out << nlohmann::json{{"pin_path", pin_path}, {"detached", done->interfaces}}.dump() << "\n";
        return ExitCode::ok;
    }
    if (done->interfaces.empty())
        context.out << "nothing is attached by pins in " << pin_path << "\n";
    for (const std::string &name : done->interfaces)
        context.out << "detached from " << name << "\n";
    return ExitCode::ok;
}

} // namespace sluice
