// The loss ledger: what became of every frame, read without stopping the traffic.
#pragma once

#include <cstdint>
#include <functional>

#include "control/snapshot.hpp"

namespace sluice {

struct Maps;

// Do two counters agree that count the same frames at two places of their way? `before` and `after` are the
// place further down, read before and after `up`, the one further up. Frames between the two, at any instant,
// number up - after .. up - before; where that range holds 0, nothing is missing.
struct Comparison {
    uint64_t before = 0, up = 0, after = 0;

    int64_t unexplained() const {
        const auto least = static_cast<int64_t>(up - after), most = static_cast<int64_t>(up - before);
        return least > 0 ? least : most < 0 ? most : 0;
    }
    // How many frames moved meanwhile: how exact unexplained() is. 0 on a quiet port.
    uint64_t in_flight() const { return after - before; }
};

// The comparison, taken with patience: a frame that was counted further up is being worked on by another CPU,
// or waits in the bulk of its NAPI poll, and is counted further down a moment later. Looks there until
// nothing is missing, but no longer than 100 us: the control loop waits meanwhile.
Comparison settled(uint64_t before, uint64_t up, const std::function<uint64_t()> &look_further_down);

Ledger read_ledger(const Maps &maps, uint32_t port);

// Frames with the verdict "redirect" that none of the `ports` ports admitted.
int64_t unexplained_redirects(const Maps &maps, uint32_t ports);

} // namespace sluice
