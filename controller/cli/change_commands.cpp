// Subcommands about the policy in force: what it is against a file, and how it changes.
#include <cmath>
#include <ctime>
#include <filesystem>
#include <iostream>

#include <nlohmann/json.hpp>

#include "api/json.hpp"
#include "api/policy_json.hpp"
#include "cli/client.hpp"
#include "cli/commands.hpp"
#include "cli/report_error.hpp"
#include "core/units.hpp"
#include "policy/compare.hpp"

namespace sluice {
namespace {

ExitCode exit_code(ReloadStatus status) {
    switch (status) {
    case ReloadStatus::applied:
        return ExitCode::ok;
    case ReloadStatus::invalid:
        return ExitCode::policy_invalid;
    case ReloadStatus::busy:
        return ExitCode::degraded;
    case ReloadStatus::nothing:
    case ReloadStatus::failed:
        break;
    }
    return ExitCode::failed;
}

std::string clock_time(double unix_s) {
    const auto whole = static_cast<time_t>(std::llround(unix_s));
    tm local{};
    char text[16] = "";
    if (localtime_r(&whole, &local))
        strftime(text, sizeof(text), "%H:%M:%S", &local);
    return text;
}

void print(const Context &context, const ReloadOutcome &outcome) {
    for (const auto &diagnostic : outcome.diagnostics)
        context.err << format(diagnostic) << "\n";
    switch (outcome.status) {
    case ReloadStatus::applied:
        context.out << "policy generation " << outcome.generation << " is in force\n";
        if (outcome.confirm_until_unix_s)
            context.out << "on trial until " << clock_time(*outcome.confirm_until_unix_s)
                        << ": `sluicectl confirm` keeps it, else the policy before it comes back\n";
        return;
    case ReloadStatus::invalid:
        context.err << "sluicectl: the policy was refused, the running one stays in force\n";
        return;
    case ReloadStatus::failed:
        context.err << "sluicectl: the running policy stays in force: " << outcome.failure << "\n";
        return;
    case ReloadStatus::busy:
    case ReloadStatus::nothing:
        context.err << "sluicectl: " << outcome.failure << "\n";
    }
}

ExitCode change(const Context &context, const std::string &path, const std::string &body = {}) {
    const auto answer = Client(context.control_socket).post(path, body);
    if (!answer)
        return report_error(context, answer.error());
    const auto outcome = reload_outcome_from_json(static_cast<int>(answer->status), answer->body);
    if (!outcome)
        return report_error(context, outcome.error());
    if (context.format == OutputFormat::json)
        context.out << answer->body;
    else
        print(context, *outcome);
    return exit_code(outcome->status);
}

// Nothing, and everything that is wrong with it printed, when the file is not good.
std::optional<LoadResult> load(const Context &context, const std::string &file) {
    LoadResult loaded = load_policy_file(file);
    if (loaded.policy)
        return loaded;
    if (context.format == OutputFormat::json) {
        context.out << to_json_text(loaded.diagnostics);
    } else {
        for (const auto &diagnostic : loaded.diagnostics)
            context.err << format(diagnostic) << "\n";
        context.err << "sluicectl: the policy is not valid, nothing was changed\n";
    }
    return std::nullopt;
}

Result<RunningPolicy> ask_for_policy(const Context &context) {
    const auto answer = Client(context.control_socket).get("/api/v1/policy");
    if (!answer)
        return tl::unexpected(answer.error());
    if (answer->status != 200)
        return fail(error_from_json(answer->status, answer->body));
    return running_policy_from_json(answer->body);
}

std::vector<std::string> needing_programs(const std::vector<PolicyChange> &changes) {
    std::vector<std::string> out;
    for (const auto &c : changes)
        if (c.programs)
            out.push_back(c.key.empty() ? c.object : c.object + ": " + c.key);
    return out;
}

std::string plan_json(const std::vector<PolicyChange> &changes, const RunningPolicy &running,
                      const Policy &next) {
    auto list = nlohmann::json::array();
    for (const auto &c : changes)
        list.push_back({{"object", c.object},
                        {"key", c.key},
                        {"before", c.before},
                        {"after", c.after},
                        {"new_programs", c.programs}});
    const auto programs = needing_programs(changes);
    constexpr int two_spaces = 2;
    return nlohmann::json{{"changes", list},
                          {"in_place", programs.empty()},
                          {"new_programs_for", programs},
                          {"running_sha256", running.sha256},
                          {"file", next.file},
                          {"file_sha256", next.sha256}}
               .dump(two_spaces, ' ', false, nlohmann::json::error_handler_t::replace) +
           "\n";
}

std::string plan_text(const std::vector<PolicyChange> &changes, const RunningPolicy &running,
                      const Policy &next) {
    if (changes.empty())
        return running.sha256 == next.sha256 ? "no difference: " + next.file + " is in force\n"
                                             : "no difference but spelling and comments\n";
    std::string text;
    for (const auto &c : changes)
        text += to_string(c) + "\n";
    const auto programs = needing_programs(changes);
    if (programs.empty())
        return text + "swap in place: maps are filled, one index flips, no packet is lost\n";
    text += "needs other programs, for";
    for (const auto &why : programs)
        text += "\n  " + why;
    return text + "\n";
}

} // namespace

ExitCode run_reload(const Context &context) {
    return change(context, "/api/v1/reload");
}

ExitCode run_confirm(const Context &context) {
    return change(context, "/api/v1/confirm");
}

ExitCode run_rollback(const Context &context) {
    return change(context, "/api/v1/rollback");
}

ExitCode run_apply(const Context &context, const ApplyOptions &options) {
    ApplyRequest request;
    if (!options.confirm_within.empty()) {
        const auto within = parse_duration_ns(options.confirm_within);
        if (!within || !*within) {
            report_error(context, {"--confirm-within " + options.confirm_within + " is no duration",
                                   "write it like 60s"});
            return ExitCode::usage;
        }
        request.confirm_within_s = static_cast<double>(*within) * 1e-9;
    }
    auto loaded = load(context, options.file);
    if (!loaded)
        return ExitCode::policy_invalid;
    request.bytes = std::move(loaded->bytes);
    std::error_code ignored;
    const auto absolute = std::filesystem::absolute(options.file, ignored);
    if (!absolute.empty())
        request.bytes.file = absolute.string();
    return change(context, "/api/v1/apply", to_json_text(request));
}

ExitCode run_plan(const Context &context, const std::string &file) {
    const auto running = ask_for_policy(context);
    if (!running)
        return report_error(context, running.error());
    const auto next = load(context, file.empty() ? running->policy_file : file);
    if (!next)
        return ExitCode::policy_invalid;
    const auto changes = compare_policies(running->bytes, next->bytes);
    context.out << (context.format == OutputFormat::json ? plan_json : plan_text)(changes, *running,
                                                                                  *next->policy);
    return ExitCode::ok;
}

} // namespace sluice
