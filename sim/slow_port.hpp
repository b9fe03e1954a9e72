// One slow port under sluice without a kernel: its TX ring, the maps in ordinary memory, the admission
// decision of admit.bpf.h and the controller's own Loop. Knows nothing of ns-3; the clock is the caller's.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "admit_host.h"
#include "control/loop.hpp"

namespace sluice::sim {

struct PortConfig {
    std::string policy;       // text of a policy file: one transition, ports `fast` and `slow`
    uint32_t ring = 1024;     // descriptors
    uint32_t frame_bytes = 0; // a full frame on the wire
    double tick_us = 0;       // 0 = as often as the loop wants
    std::vector<std::pair<double, double>> stalls; // from and to, s: no tick
};

class SlowPort {
  public:
    // Throws std::runtime_error when the policy is invalid: the simulator writes it itself.
    explicit SlowPort(const PortConfig &config);
    ~SlowPort();

    // The verdict on a frame that arrives now. Port and class in `frame` are ignored: all belongs to the last
    // class.
    sim_verdict judge(sim_frame frame, uint64_t now_ns);
    bool full() const { return ring_.size() >= config_.ring; }
    size_t waiting() const { return ring_.size(); }
    // The ring has taken the frame (the egress hook runs) / the link has taken it from the ring.
    void entered(uint32_t wire, uint64_t now_ns);
    void left();
    void lost_full() { full_drops_++; }

    void tick(uint64_t now_ns);
    uint64_t period_ns() const;
    uint64_t full_drops() const { return full_drops_; }
    Snapshot snapshot() const { return loop_->snapshot(); }
    double capacity_bps() const; // as the loop knows it

  private:
    class Memory;
    struct InRing {
        uint64_t entered_ns;
        uint32_t wire;
    };
    sluice_reading reading(uint64_t now_ns) const;

    PortConfig config_;
    std::unique_ptr<Memory> memory_;
    WakeSignal wake_;
    std::unique_ptr<Loop> loop_;
    sim_maps maps_{};
    std::deque<InRing> ring_;
    uint64_t waiting_bytes_ = 0, drained_bytes_ = 0, full_drops_ = 0;
    uint32_t empties_ = 0;
};

} // namespace sluice::sim
