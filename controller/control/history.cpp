#include "control/history.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>

#include "core/clock.hpp"

namespace sluice {
namespace {

uint64_t sum(const std::vector<Count> &counts) {
    uint64_t total = 0;
    for (const auto &count : counts)
        total += count.packets;
    return total;
}

HistoryClass history_class(const ClassState &c) {
    HistoryClass out{c.name, c.transition, c.admitted_bytes, c.delay_ns, {}};
    for (const auto &count : c.outcomes)
        out.outcomes.push_back(count.packets);
    return out;
}

void add_to(HistoryClass &other, const HistoryClass &c) {
    other.admitted_bytes += c.admitted_bytes;
    other.delay_ns = std::max(other.delay_ns, c.delay_ns);
    other.outcomes.resize(std::max(other.outcomes.size(), c.outcomes.size()));
    for (size_t i = 0; i < c.outcomes.size(); i++)
        other.outcomes[i] += c.outcomes[i];
}

HistoryPort history_port(const PortState &p) {
    HistoryPort out{p.name, p.received_bytes, p.sent_bytes, sum(p.kernel_drops), sum(p.passed)};
    out.capacity_bytes_per_s = p.capacity_bytes_per_s;
    for (const auto &ring : p.rings) {
        out.sojourn_ns = std::max(out.sojourn_ns, ring.sojourn_ns);
        out.occupancy += ring.occupancy;
        out.ring_size += ring.size;
    }
    if (!p.classes.empty())
        for (const auto &count : p.classes.front().outcomes)
            out.outcome_names.push_back(count.name);
    for (const auto &c : p.classes) {
        if (out.classes.size() < kHistoryClasses) {
            out.classes.push_back(history_class(c));
            continue;
        }
        // The last row becomes the sum of itself and all that follow.
        out.classes.back().name = kOtherClasses;
        add_to(out.classes.back(), history_class(c));
    }
    return out;
}

} // namespace

HistoryPoint history_point(const Snapshot &snapshot, double unix_s) {
    HistoryPoint point{unix_s, {}};
    for (const auto &port : snapshot.ports)
        point.ports.push_back(history_port(port));
    return point;
}

void History::add(HistoryPoint point) {
    std::lock_guard lock(mutex_);
    points_.push_back(std::move(point));
    if (points_.size() > kHistoryPoints)
        points_.pop_front();
}

std::vector<HistoryPoint> History::since(double unix_s) const {
    std::lock_guard lock(mutex_);
    const auto first =
        std::ranges::find_if(points_, [unix_s](const HistoryPoint &p) { return p.unix_s > unix_s; });
    return {first, points_.end()};
}

void History::run(const std::stop_token &stop) {
    std::mutex sleep;
    std::condition_variable_any stopped;
    auto next = std::chrono::steady_clock::now();
    while (!stop.stop_requested()) {
        add(history_point(snapshot_(), unix_seconds()));
        next = std::max(next + std::chrono::seconds(1), std::chrono::steady_clock::now());
        std::unique_lock lock(sleep);
        stopped.wait_until(lock, stop, next, [] { return false; });
    }
}

} // namespace sluice
