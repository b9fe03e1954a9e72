// Feeds the watchdog of systemd while the control loop runs: a loop that hangs, or that holds a lock for
// ever, gets the daemon restarted; packets flow on meanwhile. Without WatchdogSec= in the unit it does
// nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <thread>

namespace sluice {

class Watchdog {
  public:
    // `heartbeat_unix_s`: when the loop last ran. Called from a thread of its own, may block.
    explicit Watchdog(std::function<double()> heartbeat_unix_s);

    // Period asked for by the unit, in us; 0 = none. From WATCHDOG_USEC, see sd_watchdog_enabled(3).
    static uint64_t period_us();

  private:
    void run(const std::stop_token &stop);

    std::function<double()> heartbeat_unix_s_;
    std::jthread thread_;
};

} // namespace sluice
