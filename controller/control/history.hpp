// The last minutes at one point a second, so that a page that is opened now can draw what was. Counters, not
// rates: whoever draws takes the differences, and a restart shows as a gap.
#pragma once

#include <deque>
#include <functional>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "control/snapshot.hpp"

namespace sluice {

struct HistoryClass {
    std::string name, transition;
    uint64_t admitted_bytes = 0;
    uint64_t delay_ns = 0;
    std::vector<uint64_t> outcomes; // in the order of History::outcome_names of the port
};

struct HistoryPort {
    std::string name;
    uint64_t received_bytes = 0, sent_bytes = 0, kernel_drops = 0, passed = 0;
    uint64_t capacity_bytes_per_s = 0;
    uint64_t sojourn_ns = 0;                // of the ring that is furthest behind
    uint32_t occupancy = 0, ring_size = 0;  // all rings of the port
    std::vector<std::string> outcome_names; // empty for ports without classes
    std::vector<HistoryClass> classes;      // at most kHistoryClasses, the rest summed up as the last one
};

struct HistoryPoint {
    double unix_s = 0;
    std::vector<HistoryPort> ports;
};

inline constexpr size_t kHistoryClasses = 12; // what a chart can show; bounds memory too
inline constexpr size_t kHistoryPoints = 300; // seconds
inline constexpr const char *kOtherClasses = "other";

HistoryPoint history_point(const Snapshot &snapshot, double unix_s);

class History {
  public:
    explicit History(std::function<Snapshot()> snapshot) : snapshot_(std::move(snapshot)) {}

    // One point a second until `stop`.
    void run(const std::stop_token &stop);
    void add(HistoryPoint point);
    // Points later than `unix_s`, oldest first. Any thread.
    std::vector<HistoryPoint> since(double unix_s) const;

  private:
    std::function<Snapshot()> snapshot_;
    mutable std::mutex mutex_;
    std::deque<HistoryPoint> points_;
};

} // namespace sluice
