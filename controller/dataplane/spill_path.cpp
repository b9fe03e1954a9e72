#include "dataplane/spill_path.hpp"

#include <chrono>

#include "core/clock.hpp"

namespace sluice {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kBusy{4}, kIdle{100};
constexpr uint64_t kInStack_ns =
    10'000'000; // longest time from the verdict to the qdisc, and from it through the ring
constexpr uint64_t kSmallestChange = 32; // a rate that differs by less than one in so many stays

bool differs(uint64_t a, uint64_t b) {
    return (a > b ? a - b : b - a) > b / kSmallestChange;
}

} // namespace

SpillPath::SpillPath(SpillQdisc qdisc, sluice_port &shared, uint64_t bytes_per_s)
    : qdisc_(std::move(qdisc)), shared_(shared), wanted_(bytes_per_s),
      thread_([this](const std::stop_token &stop) { run(stop); }) {}

Result<std::unique_ptr<SpillPath>> SpillPath::open(const SpillQdisc::Config &config, sluice_port &shared,
                                                   uint64_t bytes_per_s) {
    auto qdisc = SpillQdisc::make(config, bytes_per_s);
    if (!qdisc)
        return tl::unexpected(qdisc.error());
    shared.spill_drained_ns = 1; // a time long ago: from here on somebody watches
    return std::unique_ptr<SpillPath>(new SpillPath(std::move(*qdisc), shared, bytes_per_s));
}

void SpillPath::want(uint64_t bytes_per_s, bool busy) {
    wanted_ = bytes_per_s;
    if (busy && !busy_.exchange(true))
        woken_.notify_all();
    else
        busy_ = busy;
}

SpillPath::State SpillPath::state() const {
    std::lock_guard lock(mutex_);
    return state_;
}

void SpillPath::step() {
    const uint64_t wanted = wanted_, before_ns = monotonic_ns();
    State next = state();
    next.trouble.clear();
    if (differs(wanted, next.bytes_per_s)) {
        if (auto set = qdisc_.set_rate(wanted))
            next.bytes_per_s = wanted;
        else
            next.trouble = to_string(set.error());
    }
    if (const auto stats = qdisc_.stats()) {
        next.drops += static_cast<uint32_t>(stats->drops - next.stats.drops); // the kernel's wraps
        next.stats = *stats;
        if (stats->waiting_packets == 0)
            __atomic_store_n(&shared_.spill_drained_ns, before_ns - kInStack_ns, __ATOMIC_RELAXED);
    } else {
        next.trouble = to_string(stats.error());
    }
    std::lock_guard lock(mutex_);
    state_ = std::move(next);
}

void SpillPath::run(const std::stop_token &stop) {
    std::mutex sleep;
    while (!stop.stop_requested()) {
        step();
        std::unique_lock lock(sleep);
        const bool was_busy = busy_;
        woken_.wait_for(lock, stop, was_busy ? kBusy : kIdle, [&] { return !was_busy && busy_; });
    }
}

} // namespace sluice
