// The rate of the emulated link as a function of time, past and future: when a frame is through, and how many
// bytes the link could have carried. Pure; the caller brings the clock.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/result.hpp"

namespace lab {

// "50mbit", "1.5gbit", "800kbit" → bytes per second. 0 is allowed: the link is down.
sluice::Result<double> parse_rate(const std::string &text);

class RateSchedule {
  public:
    explicit RateSchedule(double bytes_per_s, uint64_t now_ns);

    // Later changes as "10s:25mbit,20s:50mbit", seconds after start(). A trace is the same, one per line.
    sluice::Result<> plan(const std::string &text);
    void start(uint64_t now_ns);

    // The rate from now on; what the plan still had is forgotten.
    void set(uint64_t now_ns, double bytes_per_s);
    // Down from now on, and up again with the rate that was in force.
    void pause(uint64_t now_ns);
    void resume(uint64_t now_ns);

    // When the last of `bytes` is sent if the first goes out at `start_ns`; never_ns while the link is down.
    [[nodiscard]] uint64_t finish(uint64_t start_ns, double bytes) const;
    // Bytes that the link can carry in [from, to).
    [[nodiscard]] double capacity(uint64_t from_ns, uint64_t to_ns) const;
    [[nodiscard]] double rate(uint64_t at_ns) const;

  private:
    struct Step {
        uint64_t at_ns;
        double bytes_per_s;
    };
    [[nodiscard]] size_t step_at(uint64_t at_ns) const;

    std::vector<Step> steps_;   // absolute, ascending, never empty
    std::vector<Step> planned_; // relative to start()
    double before_pause_ = 0;
};

} // namespace lab
