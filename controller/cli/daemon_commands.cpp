// Subcommands that ask the running daemon.
#include <chrono>
#include <iostream>
#include <thread>

#include "api/json.hpp"
#include "cli/client.hpp"
#include "cli/commands.hpp"
#include "cli/ledger_format.hpp"
#include "cli/report_error.hpp"
#include "cli/status_format.hpp"

namespace sluice {
namespace {

ExitCode report_status(const Context &context, const HttpAnswer &answer) {
    return report_error(context, {"sluiced answered with HTTP status " + std::to_string(answer.status), {}});
}

} // namespace

ExitCode report_error(const Context &context, const Error &error) {
    if (context.format == OutputFormat::json)
        context.out << error_json(to_string(error));
    else
        context.err << "sluicectl: " << to_string(error) << "\n";
    return exit_code_of(error.kind);
}

ExitCode run_status(const Context &context, bool ledger) {
    const auto answer = Client(context.control_socket).get("/api/v1/status");
    if (!answer)
        return report_error(context, answer.error());
    if (answer->status != 200)
        return report_status(context, *answer);
    const auto snapshot = snapshot_from_json(answer->body);
    if (!snapshot)
        return report_error(context, snapshot.error());
    if (ledger) {
        context.out << (context.format == OutputFormat::json ? ledger_json(*snapshot)
                                                             : format_ledger(*snapshot))
                    << std::flush;
        return all_explained(*snapshot) ? ExitCode::ok : ExitCode::degraded;
    }
    context.out << (context.format == OutputFormat::json ? answer->body : format_status(*snapshot))
                << std::flush;
    return snapshot->health == "ok" ? ExitCode::ok : ExitCode::degraded;
}

ExitCode run_watch(const Context &context, bool ledger, double period_s) {
    constexpr const char *clear_screen = "\033[H\033[2J";
    for (;;) {
        if (context.format == OutputFormat::text)
            context.out << clear_screen;
        const auto code = run_status(context, ledger);
        if (code != ExitCode::ok && code != ExitCode::degraded)
            return code;
        std::this_thread::sleep_for(std::chrono::duration<double>(period_s));
    }
}

} // namespace sluice
