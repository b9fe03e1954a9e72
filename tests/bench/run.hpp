// One measurement: the kernel runs an XDP program over many frames.
#pragma once

#include <cstdint>
#include <vector>

#include "core/result.hpp"

namespace sluice::bench {

struct Shot {
    int program_fd = -1;
    uint32_t ingress_ifindex = 0; // has an XDP program attached
    std::vector<uint8_t> frame;
    uint32_t frames = 0;
};

// Nanoseconds of the measuring thread per frame, through the real devmap, driver and far end
// (BPF_F_TEST_XDP_LIVE_FRAMES). The thread's CPU time around the call, less that of a call with a single
// batch: the kernel's own `duration` is a whole number of ns, and the wall clock counts the grace period that
// patching the XDP dispatcher waits for, and whoever else had the CPU. Soft interrupts of the measuring
// thread are in the figure.
Result<double> run_live(const Shot &shot);

// Nanoseconds per frame of the program alone, from the kernel's `duration`: a whole number.
Result<double> run_test(const Shot &shot);

} // namespace sluice::bench
