#include "watchdog.hpp"

#include <condition_variable>
#include <mutex>

#include <systemd/sd-daemon.h>

#include "core/clock.hpp"

namespace sluice {
namespace {

// A loop at rest beats once a second (control/loop.cpp): older than this, it hangs.
constexpr double longest_silence_s = 5;

} // namespace

Watchdog::Watchdog(std::function<double()> heartbeat_unix_s)
    : heartbeat_unix_s_(std::move(heartbeat_unix_s)) {
    if (period_us())
        thread_ = std::jthread([this](const std::stop_token &stop) { run(stop); });
}

uint64_t Watchdog::period_us() {
    uint64_t us = 0;
    return sd_watchdog_enabled(0, &us) > 0 ? us : 0;
}

void Watchdog::run(const std::stop_token &stop) {
    const auto pause = std::chrono::microseconds(period_us() / 3);
    std::mutex mutex;
    std::condition_variable_any ended;
    std::unique_lock lock(mutex);
    while (!stop.stop_requested()) {
        const double beat = heartbeat_unix_s_();
        if (unix_seconds() - beat < longest_silence_s)
            sd_notify(0, "WATCHDOG=1");
        ended.wait_for(lock, stop, pause, [] { return false; });
    }
}

} // namespace sluice
