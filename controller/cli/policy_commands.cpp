// Subcommands that need no daemon: they read policy files, or print what the program knows.
#include <algorithm>
#include <iostream>

#include "api/json.hpp"
#include "cli/commands.hpp"
#include "policy/load.hpp"
#include "policy/schema.hpp"

namespace sluice {
namespace {

void print(const Context &context, const std::string &file, const LoadResult &result) {
    for (const auto &diagnostic : result.diagnostics)
        context.err << format(diagnostic) << "\n";
    if (result.policy)
        context.out << file << ": ok\n";
}

} // namespace

ExitCode run_check(const Context &context, const std::vector<std::string> &files) {
    std::vector<Diagnostic> all;
    bool valid = true;
    for (const auto &file : files) {
        const auto result = load_policy_file(file);
        valid = valid && result.policy;
        if (context.format == OutputFormat::text)
            print(context, file, result);
        std::ranges::copy(result.diagnostics, std::back_inserter(all));
    }
    if (context.format == OutputFormat::json)
        context.out << to_json_text(all);
    return valid ? ExitCode::ok : ExitCode::policy_invalid;
}

ExitCode run_schema(const Context &context) {
    context.out << policy_schema_json();
    return ExitCode::ok;
}

ExitCode run_version(const Context &context) {
    if (context.format == OutputFormat::json)
        context.out << "{\"version\": \"" SLUICE_VERSION "\"}\n";
    else
        context.out << "sluicectl " SLUICE_VERSION "\n";
    return ExitCode::ok;
}

} // namespace sluice
