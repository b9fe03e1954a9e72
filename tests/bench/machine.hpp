// Where the figures come from: they travel as ratios only.
#pragma once

#include <string>

namespace sluice::bench {

struct Machine {
    std::string kernel, cpu_model, clocksource, date;
    int cpus = 1;
};

Machine this_machine();

} // namespace sluice::bench
