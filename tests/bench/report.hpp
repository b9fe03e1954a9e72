// Rounds to figures: the table people read and the JSON that gates and plots read.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/result.hpp"
#include "machine.hpp"
#include "statistics.hpp"
#include "suite.hpp"

namespace sluice::bench {

// A step of `forward: fib`: what it adds to the one before, round by round.
struct Part {
    std::string name;
    Figures added;
};

struct Report {
    std::map<std::string, Figures> variants;
    std::map<std::string, std::vector<Part>>
        parts;               // by family, in the order of the steps; empty in a quick run
    double added_ns = 0;     // sluice_fib - bare_fib, live, IPv4, one flow
    double live_ratio = 0;   // sluice_xconnect / bare_redirect, likewise
    double worst_spread = 0; // (p90 - p10) / median of the two baselines: above 0.1 the machine was not quiet
};

Report make_report(const Rounds &rounds);
void print(const Report &report);
Result<> write_json(const Report &report, const Machine &machine, const std::string &path);

} // namespace sluice::bench
