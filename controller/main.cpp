// sluiced: options in, signals handled, one Daemon in between.
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <optional>

#include <sys/utsname.h>
#include <systemd/sd-daemon.h>

#include <CLI/CLI.hpp>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "confine/privileges.hpp"
#include "confine/syscall_filter.hpp"
#include "core/exit_code.hpp"
#include "daemon.hpp"
#include "dataplane/xdp_query.hpp"
#include "watchdog.hpp"

namespace {

// SIGTERM and SIGINT end the daemon, SIGHUP reloads. Blocked everywhere, taken here by sigwait.
sigset_t block_signals() {
    sigset_t set;
    sigemptyset(&set);
    for (int s : {SIGTERM, SIGINT, SIGHUP})
        sigaddset(&set, s);
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    signal(SIGPIPE, SIG_IGN);
    return set;
}

std::string folder_of(const std::string &path) {
    return std::filesystem::path(path).parent_path().string();
}

// These kernels lack the functions that reading a ring wants, and libbpf then looks for them in every module.
bool before_6_2() {
    utsname name{};
    int major = 0, minor = 0;
    return uname(&name) == 0 && std::sscanf(name.release, "%d.%d", &major, &minor) == 2 &&
           (major < 6 || (major == 6 && minor < 2));
}

struct Arguments {
    sluice::DaemonOptions daemon;
    std::string hook = "tracepoint", user;
    bool filter = true, pause = false, dispatcher = false, ephemeral = false;
};

void add_options(CLI::App &app, Arguments &a) {
    app.set_version_flag("--version", SLUICE_VERSION);
    app.footer(sluice::exit_code_help);
    app.add_option("--policy", a.daemon.policy_file, "policy file (YAML)")->required();
    a.daemon.state_dir = "/var/lib/sluice";
    app.add_option("--state-dir", a.daemon.state_dir,
                   "folder of the last good policy, used when the policy file is missing or bad; empty = "
                   "none is kept")
        ->capture_default_str();
    app.add_flag("--watch", a.daemon.watch, "reload when the policy file, or a file that it names, changes");
    app.add_option("--web.listen-address", a.daemon.server.listen_address,
                   "address of metrics, health and API; empty = off")
        ->capture_default_str();
    app.add_option(
        "--web.config.file", a.daemon.server.web_config_file,
        "TLS, client certificates and passwords of that address, in the format of Prometheus exporters");
    app.add_option("--control-socket", a.daemon.server.control_socket,
                   "unix socket for sluicectl; empty = off")
        ->capture_default_str();
    app.add_option("--user", a.user, "user to become; root is needed for no more than that")
        ->type_name("NAME");
    app.add_flag("--allow-pause", a.pause, "keep CAP_NET_RAW, which ports with `pause` need");
    app.add_flag("--allow-dispatcher", a.dispatcher,
                 "keep CAP_SYS_ADMIN, which libxdp needs for ports with `attach: dispatcher`");
    app.add_flag("!--no-syscall-filter", a.filter,
                 "leave all system calls to the running daemon, for debuggers");
    app.add_option("--egress-hook", a.hook, "what reads the TX ring")
        ->check(CLI::IsMember({"tracepoint", "devmap"}))
        ->capture_default_str();
    a.daemon.dataplane.pin_path = "/sys/fs/bpf/sluice";
    app.add_option("--pin-path", a.daemon.dataplane.pin_path,
                   "folder in a BPF file system that keeps programs and maps while no daemon runs")
        ->capture_default_str();
    app.add_flag("--ephemeral", a.ephemeral, "pin nothing: the data path ends with the daemon");
}

} // namespace

int main(int argc, char **argv) {
    Arguments arguments;
    CLI::App app{
        "sluiced: queue discipline for XDP_REDIRECT\nExample: sluiced --policy /etc/sluice/policy.yaml"};
    add_options(app, arguments);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError &e) {
        return app.exit(e) == 0 ? 0 : static_cast<int>(sluice::ExitCode::usage);
    }
    sluice::DaemonOptions &options = arguments.daemon;
    if (arguments.ephemeral)
        options.dataplane.pin_path.clear();
    options.dataplane.hook = arguments.hook == "devmap" ? sluice::Hook::devmap : sluice::Hook::tracepoint;
    spdlog::set_default_logger(spdlog::stderr_logger_mt("sluiced"));
    const sigset_t signals = block_signals();

    sluice::note_xdp_programs();
    if (auto dropped = sluice::drop_privileges(
            {arguments.user,
             {options.state_dir, folder_of(options.server.control_socket), options.dataplane.pin_path},
             arguments.pause,
             before_6_2(),
             arguments.dispatcher});
        !dropped) {
        spdlog::error("{}", sluice::to_string(dropped.error()));
        return static_cast<int>(sluice::exit_code_of(dropped.error().kind));
    }
    sluice::Daemon daemon(options);
    if (auto started = daemon.start(); !started) {
        spdlog::error("{}", sluice::to_string(started.error()));
        return static_cast<int>(sluice::exit_code_of(started.error().kind));
    }
    if (arguments.filter)
        if (auto filtered = sluice::filter_syscalls(); !filtered)
            spdlog::warn("{}: goes on without", sluice::to_string(filtered.error()));
    spdlog::info("ready: policy {}", options.policy_file);
    sd_notify(0, "READY=1");
    std::optional<sluice::Watchdog> watchdog([&daemon] { return daemon.snapshot().heartbeat_unix_s; });
    for (int received = 0; sigwait(&signals, &received) == 0 && received == SIGHUP;)
        daemon.reload();
    watchdog.reset();
    sd_notify(0, "STOPPING=1");
    spdlog::info(arguments.ephemeral ? "detaching"
                                     : "ends; the data path goes on, `sluicectl unload` ends it");
    daemon.stop();
    return 0;
}
