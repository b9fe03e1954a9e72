// Phantom scheduler, the part that runs per tick: who would have been served how much, and where does that
// put each class's virtual clock? Pure step functions; bytes and seconds as doubles, virtual times as 64-bit
// bytes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace sluice {

// What one class asks of the port. Amounts are bytes, or bytes per second, the same for all fields of one
// call.
struct ShareRequest {
    double demand = 0;     // never gets more than it asks
    double guaranteed = 0; // served first, whatever the priority
    double ceiling = 0;    // never gets more than this; 0 = no ceiling
    double weight = 1;     // > 0, counts within one priority
    uint8_t priority = 1;  // lower is served first
};

// Weighted max-min: guarantees, then priority by priority, water-filling within each. Work-conserving: the
// sum given is min(credit, sum of what may be given). `given` has one entry per request.
void share_out(double credit, std::span<const ShareRequest> requests, std::span<double> given);

// The water level: the virtual time vt for which sum(max(finish - vt, 0)) = backlog, searched from `start`.
// Returns `start` when there is no backlog and nobody is ahead of it. Finishes may wrap together with vt.
struct WaterLevel {
    uint64_t vt = 0;
    uint32_t active = 0; // flows above the level
};
WaterLevel water_level(std::span<const uint64_t> finishes, double backlog, uint64_t start);

// Tree of one port, flat today: its classes.
struct PhantomClass {
    // configuration
    uint8_t priority = 1;
    double weight = 1;
    double guaranteed_bytes_per_s = 0, ceiling_bytes_per_s = 0; // 0 = none
    // state
    double backlog_bytes = 0;
    double arrival_bytes_per_s = 0; // smoothed, admitted
    uint64_t vt = 0;
    uint32_t active_flows = 0;
    double service_bytes_per_s = 0; // what a backlogged flow set of this class gets now
};

// What happened in one class since the last tick.
struct PhantomInput {
    double admitted_bytes = 0;
    std::span<const uint64_t> finishes; // of the flows in use
};

// A tick later than this finds that ingress has carried the virtual clocks on by itself (SLUICE_HORIZON_NS).
constexpr double kLateTick_s = 0.03;

// After a late tick: ingress's clock is the truth, and the backlog is what the flows are ahead of it.
void phantom_adopt(PhantomClass &c, uint64_t vt, std::span<const uint64_t> finishes);

// What the port can do in this step.
struct PhantomService {
    double bytes_per_s = 0;
    double dt_s = 0;
    double ring_bytes = 0; // waiting in the real ring: the phantom backlog is never less
};

// Serve the classes, then find each one's level and the rate at which it will go on.
void phantom_step(std::span<PhantomClass> classes, std::span<const PhantomInput> inputs,
                  const PhantomService &service);

} // namespace sluice
