// Loads the plain redirect baseline and prints `ready`. SIGUSR1 prints its counts as one line of JSON;
// SIGTERM detaches and ends.
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <net/if.h>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <linux/if_link.h>
#include <nlohmann/json.hpp>

#include "core/result.hpp"
#include "plain_redirect.h"
#include "plain_redirect.skel.h"

namespace {

using sluice::fail_errno;
using sluice::Result;

struct Baseline {
    plain_redirect *skeleton = nullptr;
    bpf_link *link = nullptr;
    ~Baseline() {
        bpf_link__destroy(link);
        plain_redirect__destroy(skeleton);
    }
};

struct Policer {
    double bits_per_s = 0; // 0: none
    double burst_ms = 10;
};

Result<> attach(Baseline &baseline, const std::string &from, const std::vector<std::string> &to,
                const Policer &policer) {
    baseline.skeleton = plain_redirect__open();
    if (!baseline.skeleton)
        return fail_errno(errno, "open plain_redirect");
    if (policer.bits_per_s > 0) {
        baseline.skeleton->rodata->ns_per_byte = static_cast<uint64_t>(8e9 / policer.bits_per_s * 1048576);
        baseline.skeleton->rodata->burst_ns = static_cast<uint64_t>(policer.burst_ms * 1e6);
    }
    if (int err = plain_redirect__load(baseline.skeleton))
        return fail_errno(err, "load plain_redirect");
    for (const std::string &device : to) {
        const uint32_t index = if_nametoindex(device.c_str());
        if (bpf_map__update_elem(baseline.skeleton->maps.ports, &index, sizeof(index), &index, sizeof(index),
                                 0) < 0)
            return fail_errno(errno, "add " + device + " to the devmap");
    }
    baseline.link = bpf_program__attach_xdp(baseline.skeleton->progs.plain_redirect,
                                            static_cast<int>(if_nametoindex(from.c_str())));
    if (!baseline.link)
        return fail_errno(errno, "attach XDP to " + from);
    return {};
}

uint64_t count(const Baseline &baseline, uint32_t outcome) {
    std::vector<uint64_t> per_cpu(static_cast<size_t>(libbpf_num_possible_cpus()));
    bpf_map__lookup_elem(baseline.skeleton->maps.outcomes, &outcome, sizeof(outcome), per_cpu.data(),
                         per_cpu.size() * sizeof(uint64_t), 0);
    uint64_t sum = 0;
    for (const uint64_t n : per_cpu)
        sum += n;
    return sum;
}

void print_counts(const Baseline &baseline) {
    const nlohmann::json counts = {{"redirect", count(baseline, PLAIN_REDIRECT)},
                                   {"pass_fib", count(baseline, PLAIN_PASS_FIB)},
                                   {"pass_other", count(baseline, PLAIN_PASS_OTHER)},
                                   {"policed", count(baseline, PLAIN_POLICED)}};
    std::puts(counts.dump().c_str());
    std::fflush(stdout);
}

} // namespace

int main(int argc, char **argv) {
    CLI::App app{"plain_redirect: FIB forwarding by XDP redirect without any queue discipline"};
    std::string from;
    std::vector<std::string> to;
    app.add_option("--from", from, "ingress device")->required();
    app.add_option("--to", to, "egress devices")->required();
    Policer policer;
    app.add_option("--police", policer.bits_per_s, "bit/s on the wire that a token bucket lets through");
    app.add_option("--burst-ms", policer.burst_ms, "that the bucket holds")->capture_default_str();
    CLI11_PARSE(app, argc, argv);

    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, nullptr);

    Baseline baseline;
    if (auto ok = attach(baseline, from, to, policer); !ok) {
        std::fprintf(stderr, "plain_redirect: %s\n", sluice::to_string(ok.error()).c_str());
        return 1;
    }
    std::puts("ready");
    std::fflush(stdout);
    for (int received = SIGUSR1; received == SIGUSR1;) {
        sigwait(&set, &received);
        print_counts(baseline);
    }
    return 0;
}
