// Policy -> CompiledPolicy: names become indices, matches become rules, in the layout that the BPF programs
// read. Pure; knows nothing of this host's interfaces.
#pragma once

#include <sluice/abi.h>

#include <string>
#include <vector>

#include "policy/policy.hpp"

namespace sluice {

struct CompiledClass {
    std::string name;
    uint8_t priority = 1;
    uint32_t weight = 1;
    std::optional<uint64_t> min_bytes_per_s, ceil_bytes_per_s;
    std::optional<double> min_fraction, ceil_fraction;
    bool mark = true; // CE instead of a drop where the packet allows it
};

struct CompiledTransition {
    std::vector<uint32_t> from; // port indices
    uint32_t to = 0;            // port index
    Forward forward = Forward::fib;
    Aqm aqm;
    uint32_t first_class =
        0; // class ids first_class .. first_class + classes.size() - 1, before the generation's base
    std::vector<CompiledClass> classes;
    sluice_transition image{}; // class ids likewise
};

struct CompiledPolicy {
    Policy source;
    std::vector<CompiledTransition> transitions; // same order as source.transitions
    uint32_t class_count = 0;

    // Port index -> its position in source.ports is the same number.
    const Port &port(uint32_t index) const { return source.ports[index]; }
};

// Precondition: `policy` came out of the loader without errors.
CompiledPolicy compile(Policy policy);

} // namespace sluice
