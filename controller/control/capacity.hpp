// Drain-rate tracker and headroom: what does the link take, and how much of it may the phantom scheduler hand
// out so that the real ring stays short? A pure step function per port and tick.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

namespace sluice {

struct CapacityConfig {
    std::optional<double>
        policy_bytes_per_s;        // a rate in the policy is a promise of the operator: never exceeded
    double mtu_bytes = 1538;       // of a full frame on the wire
    double largest_debt_s = 0.008; // of service at capacity
};

// The rings of one port together, at one instant.
struct RingObservation {
    bool readable = false;      // a reader understands the driver
    uint64_t drained_bytes = 0; // counter
    uint64_t waiting_bytes = 0;
    uint32_t occupancy = 0; // descriptors in use, the stack's included
    uint32_t size = 0;      // descriptors of one ring
    uint32_t empties = 0;   // counter: bulks that found a ring empty
    bool shared = false;    // with the kernel's own frames: what drained of ours is not what the link can do
};

struct CapacityState {
    double capacity_bytes_per_s = 0; // 0: nothing known yet
    double headroom = 1;             // granted / capacity
    double debt_bytes = 0; // service held back from the phantom classes so far, so that the ring drains
    double drain_bytes_per_s = 0; // last measurement, 0 = never
    double queue_s = 0;           // waiting bytes / capacity, smoothed over a few ms
    double ring_target_s = 0;
    // the span in progress in which the ring never emptied
    double span_s = 0, span_bytes = 0;
    std::array<double, 5> measured{}; // last measurements, bytes/s; their median counts
    unsigned measurements = 0;
    // the span in progress in which the link was ahead of the phantom queue
    double proof_s = 0, proof_bytes = 0;
    bool caught_up = false; // in this step, it was seen: nothing that waits in the phantom queue is real
    // the window in progress: of it, classes were refused although the ring ran empty
    double window_s = 0, idle_s = 0;
    bool refused = false;
    int probes = 0;              // upward steps in a row
    bool ring_idle = false;      // most of the last window: what waits then waits in the phantom queue alone
    double frame_bytes = 0;      // mean of the frames in the ring; 0 = unknown
    double link_bytes_per_s = 0; // what the ring was seen to drain, whatever the policy says; 0 = not yet
    RingObservation last;
};

// What the phantom classes of the port would like.
struct Demand {
    double backlog_bytes = 0; // phantom, of all classes
    double held_up_bytes = 0; // of these, by the rate of the port and not by a ceiling below it
    bool refused = false;     // frames were dropped or marked since the last step, not for a ceiling
};

void capacity_step(CapacityState &state, const CapacityConfig &config, const RingObservation &observed,
                   Demand demand, double dt_s);

// What the phantom scheduler may hand out now, bytes/s.
double granted(const CapacityState &state);

// What a ring holds when it is full of frames such as those that are in it. 0: no ring is read.
double ring_bytes(const CapacityState &state, const CapacityConfig &config);

} // namespace sluice
