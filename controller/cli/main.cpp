// sluicectl: the command line, and nothing else. What a subcommand does is in *_commands.cpp.
#include <functional>
#include <iostream>

#include <CLI/CLI.hpp>

#include "cli/commands.hpp"
#include "cli/support_bundle.hpp"
#include "core/text.hpp"

namespace {

using namespace sluice;

struct Arguments {
    std::string control_socket = "/run/sluice/control.sock";
    std::string bundle = "sluice-support.tar.gz";
    std::string pin_path = "/sys/fs/bpf/sluice";
    std::string format = "text";
    std::vector<std::string> files;
    double watch_s = 0; // 0 = once
    bool ledger = false;
    DropOptions drops;
    TopOptions top;
    ExplainOptions explain;
    ApplyOptions apply;
    std::string plan;
};

using Command = std::function<ExitCode(const Context &)>;

void add_global_options(CLI::App &app, Arguments &arguments) {
    app.add_option("--control-socket", arguments.control_socket, "Unix socket of sluiced")
        ->type_name("PATH")
        ->capture_default_str();
    app.add_option("-o,--output", arguments.format, "Output format")
        ->check(CLI::IsMember({"text", "json"}))
        ->capture_default_str();
    app.set_version_flag("--version", "sluicectl " SLUICE_VERSION);
    app.require_subcommand(1);
    app.fallthrough(); // global options may also follow the subcommand
    app.footer(exit_code_help);
}

// Registers the subcommands; the one that is given becomes `command`.
class Subcommands {
  public:
    Subcommands(CLI::App &app, Arguments &arguments, Command &command)
        : app_(app), arguments_(arguments), command_(command) {}

    void add_all() {
        add_looking();
        add_drops();
        add_top();
        add_explain();
        add_policy();
        add_trial();
        add_host();
    }

  private:
    CLI::App *add(const char *name, const char *what, const char *example, Command run) {
        auto *sub = app_.add_subcommand(name, what);
        sub->footer(std::string("Example:\n  ") + example);
        sub->callback([this, run = std::move(run)] { command_ = run; });
        return sub;
    }
    void add_looking();
    void add_drops();
    void add_top();
    void add_explain();
    void add_policy();
    void add_trial();
    void add_host();

    CLI::App &app_;
    Arguments &arguments_;
    Command &command_;
};

void Subcommands::add_looking() {
    auto *status = add("status", "Show ports, rings and classes; exit code 4 while degraded",
                       "sluicectl status --watch 1\n  sluicectl status --ledger", [this](const Context &c) {
                           return arguments_.watch_s > 0 ? run_watch(c, arguments_.ledger, arguments_.watch_s)
                                                         : run_status(c, arguments_.ledger);
                       });
    status->add_flag("--ledger", arguments_.ledger,
                     "Show what became of every frame, per port; exit code 4 when some are unexplained");
    status->add_option("--watch", arguments_.watch_s, "Repeat every so many seconds")
        ->type_name("SECONDS")
        ->check(CLI::Range(0.1, 3600.0));
}

void Subcommands::add_drops() {
    DropOptions &options = arguments_.drops;
    auto *drops =
        add("drops", "Explain sampled drops and marks: reason, flow, class, delays, policy line",
            "sluicectl drops --follow\n  sluicectl drops --pcap drops.pcapng && wireshark drops.pcapng",
            [&options](const Context &c) { return run_drops(c, options); });
    drops->add_flag("--follow,-f", options.follow, "Show what happens from now on, until interrupted");
    drops
        ->add_option("--pcap", options.pcap,
                     "Write a pcapng capture, the reason as packet comment; - = stdout")
        ->type_name("FILE");
    drops->add_option("--reason", options.reasons, "Only this reason, e.g. drop_codel; may be repeated");
    drops->add_option("--count,-c", options.count, "End after so many events");
}

void Subcommands::add_top() {
    TopOptions &options = arguments_.top;
    auto *top = add("top", "Live view: ports, rings, classes and the flows with the largest backlog",
                    "sluicectl top\n  sluicectl top --once\n  sluicectl top -o json",
                    [&options](const Context &c) { return run_top(c, options); });
    top->add_flag("--once", options.once, "Print one look and end; so it is without a terminal");
    top->add_option("--interval,-i", options.period_s, "Time between two looks")
        ->type_name("SECONDS")
        ->check(CLI::Range(0.1, 3600.0))
        ->capture_default_str();
}

void Subcommands::add_explain() {
    ExplainOptions &options = arguments_.explain;
    auto *explain =
        add("explain", "Say what would happen to a packet now: class, policy line, bucket, what limits it",
            "sluicectl explain --src 10.0.0.7 --dst 192.0.2.9 --proto tcp --dport 443",
            [&options](const Context &c) { return run_explain(c, options); });
    explain->add_option("--src", options.src, "Source address, IPv4 or IPv6")->required();
    explain->add_option("--dst", options.dst, "Destination address")->required();
    explain->add_option("--dport", options.dport, "Destination port");
    explain->add_option("--sport", options.sport, "Source port");
    explain->add_option("--proto", options.proto,
                        "tcp, udp, icmp, ... or a number; tcp where ports are given");
    explain->add_option("--dscp", options.dscp, "Code point: ef, af41, cs1, ... or 0..63");
    explain->add_option("--vlan", options.vlan, "VLAN id of the outermost tag");
    explain->add_option("--length", options.length, "Bytes of the frame");
    explain->add_option("--in", options.in, "Port of the policy that it arrives at; all where not given");
}

void Subcommands::add_policy() {
    add("check", "Validate policy files without touching the system",
        "sluicectl check /etc/sluice/policy.yaml",
        [this](const Context &c) { return run_check(c, arguments_.files); })
        ->add_option("FILE", arguments_.files, "Policy files")
        ->required();
    add("reload", "Load the policy file again; a bad file changes nothing", "sluicectl reload -o json",
        run_reload);
    add("plan", "Show what a policy file would change, and whether that is a swap in place",
        "sluicectl plan\n  sluicectl plan new.yaml -o json",
        [this](const Context &c) { return run_plan(c, arguments_.plan); })
        ->add_option("FILE", arguments_.plan, "Policy file; the one of the daemon where not given");
    add("schema", "Print the JSON Schema of policy files", "sluicectl schema > policy.schema.json",
        run_schema);
}

void Subcommands::add_trial() {
    ApplyOptions &options = arguments_.apply;
    auto *apply =
        add("apply", "Put a policy in force, for good or on trial; a bad file changes nothing",
            "sluicectl apply new.yaml\n  sluicectl apply new.yaml --confirm-within 60s && sluicectl confirm",
            [&options](const Context &c) { return run_apply(c, options); });
    apply->add_option("FILE", options.file, "Policy file; it is read here and sent")->required();
    apply
        ->add_option("--confirm-within", options.confirm_within,
                     "Take it back unless `sluicectl confirm` comes in this time")
        ->type_name("DURATION");
    add("confirm", "Keep the policy that is on trial", "sluicectl confirm", run_confirm);
    add("rollback", "Go back to the policy before the last change", "sluicectl rollback", run_rollback);
}

void Subcommands::add_host() {
    add("features",
        "Say what this kernel and its interfaces can do for sluice, what is missing, and the cure",
        "sluicectl features\n  sluicectl features eth1 -o json",
        [this](const Context &c) { return run_features(c, arguments_.files); })
        ->add_option("IF", arguments_.files, "Interfaces; all where none is given");
    add("unload", "Take away the data path that a sluiced which has ended left in place",
        "systemctl stop sluiced && sluicectl unload",
        [this](const Context &c) { return run_unload(c, arguments_.pin_path); })
        ->add_option("--pin-path", arguments_.pin_path, "As given to sluiced")
        ->type_name("FOLDER")
        ->capture_default_str();
    add("support-bundle", "Collect what is needed to judge this host from afar into one archive",
        "sluicectl support-bundle --file sluice-support.tar.gz",
        [this](const Context &c) { return run_support_bundle(c, arguments_.bundle); })
        ->add_option("--file", arguments_.bundle, "Archive to write")
        ->type_name("FILE")
        ->capture_default_str();
    add("version", "Print the version", "sluicectl version", run_version);
}

// CLI11 complains only that no subcommand was given; the misspelt word is what the user wants to hear about.
void explain_unknown_subcommand(const CLI::App &app) {
    const auto words = app.remaining();
    if (words.empty() || !app.get_subcommands().empty())
        return;
    std::vector<std::string_view> names;
    for (const auto *sub : app.get_subcommands([](const CLI::App *) { return true; }))
        names.push_back(sub->get_name());
    const auto meant = closest(words.front(), names);
    std::cerr << "sluicectl: no subcommand " << quote(words.front());
    std::cerr << (meant.empty() ? "" : ", did you mean " + quote(meant) + "?") << "\n";
}

} // namespace

int main(int argc, char **argv) {
    CLI::App app("Ask and steer sluiced, the queue discipline for XDP_REDIRECT", "sluicectl");
    Arguments arguments;
    Command command;
    add_global_options(app, arguments);
    Subcommands subcommands(app, arguments, command);
    subcommands.add_all();
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError &e) {
        if (e.get_exit_code() != 0)
            explain_unknown_subcommand(app);
        return app.exit(e) == 0 ? 0 : static_cast<int>(ExitCode::usage);
    }
    const auto format = arguments.format == "json" ? OutputFormat::json : OutputFormat::text;
    return static_cast<int>(command({arguments.control_socket, format, std::cout, std::cerr}));
}
