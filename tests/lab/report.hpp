// slowlink's results as JSON. Times are seconds after `go`, delays milliseconds, rates bits per second.
#pragma once

#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "link.hpp"

namespace lab {

// Present state: counters since the start, and the frame dequeued last. Cheap; for the control socket.
nlohmann::json live_stats(const Link &link, const Direction &reverse, uint64_t now);

// The whole run: totals, per-window statistics, delay over time, bytes per flow over time.
nlohmann::json final_report(const Link &link, const Direction &reverse,
                            const std::vector<std::pair<double, double>> &windows, uint64_t now);

} // namespace lab
