// What sluice costs per packet: live frames and plain test runs of our programs against bare redirects, in
// turns, in one process and one private network namespace.
#include <cstdio>
#include <sched.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include "report.hpp"

namespace {

using namespace sluice;
using namespace sluice::bench;

void pin_to(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<size_t>(cpu), &set);
    sched_setaffinity(0, sizeof(set), &set);
}

Result<> run(const SuiteOptions &options, const std::string &json) {
    const auto world = enter_world();
    if (!world)
        return tl::unexpected(world.error());
    pin_to(options.cpu);
    const auto rounds = run_suite(*world, options, [&](uint32_t i) {
        std::fprintf(stderr, "\rround %u of %u", i + 1, options.rounds);
    });
    std::fprintf(stderr, "\n");
    if (!rounds)
        return tl::unexpected(rounds.error());
    const Report report = make_report(*rounds);
    print(report);
    return json.empty() ? Result<>{} : write_json(report, this_machine(), json);
}

} // namespace

int main(int argc, char **argv) {
    CLI::App app{"Cost of sluice per packet against bare redirects"};
    SuiteOptions options;
    std::string json;
    options.cpu = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN)) - 1;
    app.add_option("--json", json, "write the figures to this file");
    app.add_option("--rounds", options.rounds, "turns of each variant")->check(CLI::PositiveNumber);
    app.add_option("--frames", options.live_frames, "live frames of a shot")
        ->check(CLI::Range(1'000, 100'000'000));
    app.add_option("--shots", options.shots, "shots of a variant in a round, the least counts")
        ->check(CLI::PositiveNumber);
    app.add_option("--cpu", options.cpu, "CPU to measure on; the control loop runs on CPU 0");
    app.add_flag("--quick", options.quick, "only what the headline figures need");
    CLI11_PARSE(app, argc, argv);
    if (const auto r = run(options, json); !r) {
        std::fprintf(stderr, "bench_cost: %s\n", to_string(r.error()).c_str());
        return 1;
    }
    return 0;
}
