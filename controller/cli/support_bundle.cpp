#include "cli/support_bundle.hpp"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <ostream>
#include <vector>

#include <nlohmann/json.hpp>
#include <sys/stat.h>

#include "api/json.hpp"
#include "cli/client.hpp"
#include "core/child.hpp"

namespace sluice {
namespace {

namespace fs = std::filesystem;

using Words = std::vector<std::string>;
constexpr std::chrono::seconds kPatience{15}; // no command may hang the bundle

struct Part {
    const char *file;
    std::vector<Words> commands;
};

const std::vector<Part> &parts() {
    static const std::vector<Part> all{
        {"kernel.txt",
         {{"uname", "-a"},
          {"cat", "/etc/os-release", "/sys/kernel/security/lockdown"},
          {"nproc"},
          {"uptime"}}},
        {"links.txt",
         {{"ip", "-s", "-d", "link"},
          {"ip", "-br", "address"},
          {"ip", "rule"},
          {"ip", "route"},
          {"ip", "-6", "route"}}},
        {"qdisc.txt", {{"tc", "-s", "-d", "qdisc"}}},
        {"bpf.txt", {{"bpftool", "net"}, {"bpftool", "prog"}, {"find", "/sys/fs/bpf", "-maxdepth", "5"}}},
        {"sysctl.txt",
         {{"sysctl", "net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding", "net.core.bpf_jit_enable",
           "kernel.unprivileged_bpf_disabled"}}},
        {"journal.txt", {{"journalctl", "-u", "sluiced", "-n", "2000", "--no-pager"}}},
        {"unit.txt", {{"systemctl", "cat", "sluiced"}, {"systemctl", "status", "sluiced", "--no-pager"}}},
        {"package.txt",
         {{"dpkg-query", "-W", "sluice", "libbpf1", "libmicrohttpd12"}, {"dpkg", "-V", "sluice"}}},
    };
    return all;
}

// Of a device: driver, rings, queues, offloads, counters.
std::vector<Words> ethtool_commands(const std::string &device) {
    std::vector<Words> all;
    for (const char *what : {"-i", "-g", "-l", "-k", "-S"})
        all.push_back({"ethtool", what, device});
    return all;
}

// Names come from the daemon, and become the names of files.
bool is_plain_name(const std::string &name) {
    return !name.empty() && name.front() != '-' && std::ranges::all_of(name, [](unsigned char c) {
        return std::isalnum(c) || c == '_' || c == '.' || c == '-' || c == '@';
    });
}

bool write(const fs::path &file, const std::string &text) {
    return static_cast<bool>(std::ofstream(file, std::ios::binary) << text);
}

// What the commands print, their errors too.
std::string output_of_all(const std::vector<Words> &commands) {
    std::string out;
    for (const Words &words : commands)
        out += output_of(words, kPatience);
    return out;
}

void ask_daemon(const Context &context, const fs::path &folder) {
    const Client client(context.control_socket);
    for (const auto &[path, file] :
         {std::pair{"/api/v1/status", "status.json"}, {"/metrics", "metrics.txt"}}) {
        const auto answer = client.get(path);
        write(folder / file, answer ? answer->body : to_string(answer.error()) + "\n");
        if (!answer || file != std::string("status.json"))
            continue;
        const auto snapshot = snapshot_from_json(answer->body);
        if (!snapshot)
            continue;
        std::error_code ignored;
        fs::copy_file(snapshot->policy_file, folder / "policy.yaml", ignored);
        for (const auto &port : snapshot->ports)
            if (is_plain_name(port.device))
                write(folder / ("ethtool-" + port.device + ".txt"),
                      output_of_all(ethtool_commands(port.device)));
    }
}

// A folder of our own below the system's temporary one.
class Workspace {
  public:
    Workspace() {
        std::string name = (fs::temp_directory_path() / "sluice-support-XXXXXX").string();
        if (mkdtemp(name.data()))
            root = name;
    }
    ~Workspace() {
        std::error_code ignored;
        if (!root.empty())
            fs::remove_all(root, ignored);
    }
    Workspace(const Workspace &) = delete;
    Workspace &operator=(const Workspace &) = delete;

    fs::path root; // empty: mkdtemp failed
};

} // namespace

ExitCode run_support_bundle(const Context &context, const std::string &file) {
    const auto failed = [&](const std::string &why) {
        context.err << "sluicectl: support-bundle: " << why << "\n";
        return ExitCode::failed;
    };
    umask(077);
    const Workspace work;
    const auto folder = work.root / "sluice-support";
    std::error_code error;
    if (work.root.empty() || !fs::create_directory(folder, error))
        return failed("no temporary folder (is /tmp full?)");
    write(folder / "version.txt", "sluicectl " SLUICE_VERSION "\n");
    ask_daemon(context, folder);
    for (const auto &part : parts())
        write(folder / part.file, output_of_all(part.commands));
    // tar takes a colon in the name for a host.
    const auto trouble =
        output_of({"tar", "--force-local", "-C", work.root, "-czf", fs::absolute(file), "sluice-support"},
                  std::chrono::minutes(1));
    if (!trouble.empty() || !fs::exists(file, error))
        return failed("tar: " + trouble);
    if (context.format == OutputFormat::json)
        context.out << nlohmann::json{{"file", file}}.dump() << "\n";
    else
        context.out << file
                    << ": host, links, policy, counters and log of sluiced; look at it before you send it: "
                    << "names and addresses of this host are in it\n";
    return ExitCode::ok;
}

} // namespace sluice
