// Which programs are compared, and the rounds in which each of them has its turn.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/result.hpp"
#include "world.hpp"

namespace sluice::bench {

struct SuiteOptions {
    uint32_t rounds = 11;
    uint32_t live_frames = 500'000;
    uint32_t shots = 1; // per round; the least counts, which helps on a busy machine
    uint32_t test_frames = 1'000'000;
    uint32_t many_flows = 1024; // a power of two
    bool quick = false;         // only what the two headline figures need
    int cpu = 0, loop_cpu = 0;
};

// ns per frame of each round, by name: "<live|test>.<program>.<ipv4|ipv6>[.<flows>flows]".
using Rounds = std::map<std::string, std::vector<double>>;

Result<Rounds> run_suite(const World &world, const SuiteOptions &options,
                         const std::function<void(uint32_t round)> &progress);

} // namespace sluice::bench
