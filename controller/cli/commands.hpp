// The subcommands: each prints to the given streams and returns the exit code.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

#include "core/exit_code.hpp"

namespace sluice {

enum class OutputFormat { text, json };

// What every subcommand is given.
struct Context {
    std::string control_socket;
    OutputFormat format = OutputFormat::text;
    std::ostream &out;
    std::ostream &err;
};

ExitCode run_check(const Context &context, const std::vector<std::string> &files);
// `ledger`: only what became of every frame, per port; degraded where frames are unexplained.
ExitCode run_status(const Context &context, bool ledger);
// Repeats run_status on a cleared screen until it fails or the process is told to end.
ExitCode run_watch(const Context &context, bool ledger, double period_s);

struct DropOptions {
    bool follow = false;              // go on with what happens from now on, until the process is told to end
    std::string pcap;                 // file for a pcapng capture, "-" = standard output
    std::vector<std::string> reasons; // only these; empty = all
    uint64_t count = 0;               // end after so many; 0 = all
};
ExitCode run_drops(const Context &context, const DropOptions &options);

struct TopOptions {
    bool once = false;     // also where there is no terminal, and for JSON
    double period_s = 1.0; // between two looks
};
ExitCode run_top(const Context &context, const TopOptions &options);

struct ExplainOptions {
    std::string src, dst, sport, dport, proto, dscp, vlan, length,
        in; // as the API takes them; empty = not given
};
ExitCode run_explain(const Context &context, const ExplainOptions &options);
// Without names: every interface of this network namespace.
ExitCode run_features(const Context &context, const std::vector<std::string> &devices);
ExitCode run_reload(const Context &context);

struct ApplyOptions {
    std::string file;
    std::string confirm_within; // duration; empty = for good
};
ExitCode run_apply(const Context &context, const ApplyOptions &options);
ExitCode run_confirm(const Context &context);
ExitCode run_rollback(const Context &context);
// What `file` would change; empty = the policy file of the daemon.
ExitCode run_plan(const Context &context, const std::string &file);
// Takes the data path away that sluiced left pinned.
ExitCode run_unload(const Context &context, const std::string &pin_path);
ExitCode run_schema(const Context &context);
ExitCode run_version(const Context &context);

} // namespace sluice
