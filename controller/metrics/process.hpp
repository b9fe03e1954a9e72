// What /proc says about this process: the `process_*` metrics that every Prometheus client exports.
#pragma once

#include <cstdint>
#include <optional>

namespace sluice {

// Empty where /proc is hidden or cannot be parsed.
struct ProcessStats {
    std::optional<double> cpu_seconds; // user + system
    std::optional<double> start_time_unix_s;
    std::optional<uint64_t> resident_bytes, virtual_bytes;
    std::optional<uint64_t> open_fds, max_fds;
};

ProcessStats read_process_stats();

} // namespace sluice
