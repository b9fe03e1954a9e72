// Phantom scheduler, the part that runs per tick: who would have been served how much, and where does that
// put each class's virtual clock? Step functions; bytes and seconds as doubles, virtual times as 64-bit
// bytes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "control/share_tree.hpp"

namespace sluice {

// The flows of a class that are in use: where each one's admitted bytes end in virtual time, and how many
// bytes of virtual time each byte of it took (sluice_flow.scale). No scales: all 1. Finishes may wrap
// together with vt.
struct FlowLags {
    std::span<const uint64_t> finishes;
    std::span<const uint16_t> scales = {};
};

// The water level: the virtual time vt for which sum(max(finish - vt, 0) / scale) = backlog, searched from
// `start`. Returns `start` when there is no backlog and nobody is ahead of it.
struct WaterLevel {
    uint64_t vt = 0;
    uint32_t active = 0; // flows above the level
    double shares = 0;   // sum of their 1 / scale: hosts where flows are scaled by host, else flows
};
WaterLevel water_level(const FlowLags &flows, double backlog, uint64_t start);

// State of one class, a leaf of the port's tree.
struct PhantomClass {
    uint32_t node = 0; // in the tree
    double backlog_bytes = 0;
    double arrival_bytes_per_s = 0; // smoothed, admitted
    uint64_t vt = 0;
    uint32_t active_flows = 0;
    double active_shares = 0;
    double service_bytes_per_s = 0; // what the backlogged flows of this class get together
    bool under_ceiling = false;     // which is all it may have, though the port could do more
};

// What happened in one class since the last tick. Only classes with flows in use are told of.
struct PhantomInput {
    uint32_t index = 0; // of the class
    double admitted_bytes = 0;
    FlowLags flows;
};

// A tick later than this finds that ingress has carried the virtual clocks on by itself (SLUICE_HORIZON_NS).
constexpr double kLateTick_s = 0.03;

// After a late tick, or when an idle class has flows again: ingress's clock is the truth, and the backlog is
// what the flows are ahead of it.
void phantom_adopt(PhantomClass &c, uint64_t vt, const FlowLags &flows);

// The class has no flows in use any more.
void phantom_rest(PhantomClass &c);

// What the port can do in this step.
struct PhantomService {
    double bytes_per_s = 0;
    double dt_s = 0;
    double ring_bytes = 0;  // waiting in the real ring: the phantom backlog is never less
    bool caught_up = false; // the link has sent all that waited; classes with a ceiling keep to it
};

// Serve the classes that `inputs` names, then find each one's level and the rate at which it will go on.
void phantom_step(ShareTree &tree, std::span<PhantomClass> classes, std::span<const PhantomInput> inputs,
                  const PhantomService &service);

} // namespace sluice
