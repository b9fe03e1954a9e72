#include "control/capacity.hpp"

#include <algorithm>
#include <cmath>

namespace sluice {
namespace {

constexpr double kUnknown = 50e9; // bytes/s handed out before anything is known: the guard protects the ring
constexpr double kQueueSmoothing_s = 0.004;
constexpr double kTargetQueue_s = 0.0005, kTargetFrames = 4;
constexpr double kHoldBack_s = 0.030;        // an excess queue is drained over this time...
constexpr double kGiveBack_s = 0.005;        // ... and what was held back returns over this time
constexpr double kStrongestCorrection = 0.6; // of capacity
constexpr double kHighestHeadroom = 1.01;
constexpr double kSpan_s = 0.020; // longest span of one drain-rate measurement
constexpr double kShortestSpanFrames = 8;
constexpr double kWindow_s = 0.020; // idleness is judged over this long
constexpr double kIdle = 0.7;       // of the window
constexpr double kProof_s = 0.005;  // an empty ring ahead of the phantom queue for so long is no accident...
constexpr double kProofTicks = 2.5; // ... nor is one look...
constexpr double kProofFrames = 2;  // ... when it is ahead by more than these
constexpr double kProbeStep = 0.02, kLargestProbe = 0.25;
constexpr double kRelax = 0.01;     // per window, back towards a rate that the policy gives...
constexpr double kNearPolicy = 0.9; // ... which is not far from there

double ring_target(const CapacityState &s, const CapacityConfig &config, const RingObservation &ring) {
    const double frame_s = config.mtu_bytes / s.capacity_bytes_per_s;
    const double ring_s = frame_s * ring.size;
    return std::max(kTargetFrames * frame_s, std::min(kTargetQueue_s, ring_s / 4));
}

void clamp_to_policy(CapacityState &s, const CapacityConfig &config) {
    if (config.policy_bytes_per_s)
        s.capacity_bytes_per_s = std::min(s.capacity_bytes_per_s, *config.policy_bytes_per_s);
}

double median(std::array<double, 5> values, unsigned count) {
    std::sort(values.begin(), values.begin() + count);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

// The median: one or two odd measurements are a reader that was not scheduled or a pause frame, three a new
// rate.
void take_measurement(CapacityState &s, const CapacityConfig &config) {
    if (s.span_s <= 0)
        return;
    // A standstill is a slow link, not an unknown one: 0 means "nothing known yet".
    s.drain_bytes_per_s = std::max(s.span_bytes, config.mtu_bytes) / s.span_s;
    s.measured[s.measurements++ % s.measured.size()] = s.drain_bytes_per_s;
    s.capacity_bytes_per_s = s.link_bytes_per_s =
        median(s.measured, std::min<unsigned>(s.measurements, static_cast<unsigned>(s.measured.size())));
    s.probes = 0;
    clamp_to_policy(s, config);
}

// Only spans in which the ring never emptied tell the rate of the link; the rest tells the rate of the
// sources.
void follow_drain(CapacityState &s, const CapacityConfig &config, const RingObservation &ring, bool busy,
                  double dt_s) {
    if (busy) {
        s.span_s += dt_s;
        // A reading of a ring that several CPUs feed may be off by a bulk, and the next one below it.
        s.span_bytes +=
            static_cast<double>(std::max(ring.drained_bytes, s.last.drained_bytes) - s.last.drained_bytes);
    }
    if (s.span_s >= kSpan_s || (!busy && s.span_bytes >= kShortestSpanFrames * config.mtu_bytes))
        take_measurement(s, config);
    if (!busy || s.span_s >= kSpan_s)
        s.span_s = s.span_bytes = 0;
}

// A higher guess is no measurement, but it must outlive the old ones: the median would fall back on them.
void raise(CapacityState &s, const CapacityConfig &config, double factor) {
    s.capacity_bytes_per_s *= factor;
    if (s.link_bytes_per_s > 0)
        s.link_bytes_per_s = std::max(s.link_bytes_per_s, s.capacity_bytes_per_s);
    for (double &m : s.measured)
        m = std::max(m, s.capacity_bytes_per_s);
    clamp_to_policy(s, config);
}

// The link turned out to take more. Small steps first, larger ones if they do not help, and nothing that
// waits in the phantom queue is real.
void speed_up(CapacityState &s, const CapacityConfig &config, double least_factor) {
    if (s.capacity_bytes_per_s >= kNearPolicy * config.policy_bytes_per_s.value_or(INFINITY))
        return;
    const double step = std::min(kLargestProbe, kProbeStep * std::exp2(s.probes++));
    raise(s, config, std::max(1 + step, least_factor));
    s.debt_bytes = 0;
    s.caught_up = true;
}

// The ring is empty and the phantom queue, at its rate, is not: what still waits there has left, and the span
// tells a rate that the link exceeds.
void take_proof(CapacityState &s, const CapacityConfig &config, const RingObservation &ring, Demand demand,
                double dt_s) {
    const double still = demand.held_up_bytes - s.debt_bytes - granted(s) * dt_s;
    if (ring.occupancy > 0 || !s.last.readable || still < kProofFrames * config.mtu_bytes) {
        s.proof_s = s.proof_bytes = 0;
        return;
    }
    s.proof_s += dt_s;
    s.proof_bytes += static_cast<double>(ring.drained_bytes - s.last.drained_bytes);
    if (s.proof_s < std::max(kProof_s, kProofTicks * dt_s))
        return;
    speed_up(s, config, (s.proof_bytes - config.mtu_bytes) / s.proof_s / s.capacity_bytes_per_s);
    s.proof_s = s.proof_bytes = 0;
}

// Classes lose frames and the ring runs empty all the time: that must not be. Towards a rate that the policy
// gives, capacity returns without being asked.
void probe(CapacityState &s, const CapacityConfig &config, bool idle, Demand demand, double dt_s) {
    s.window_s += dt_s;
    s.refused |= demand.refused;
    if (idle)
        s.idle_s += dt_s;
    if (s.window_s < kWindow_s)
        return;
    s.ring_idle = s.idle_s > kIdle * s.window_s;
    if (s.ring_idle && s.refused)
        speed_up(s, config, 1);
    else if (s.ring_idle && config.policy_bytes_per_s)
        raise(s, config, 1 + kRelax);
    s.window_s = s.idle_s = 0;
    s.refused = false;
}

// The phantom classes are served a little less than the link while the ring is longer than its target, and
// get it back while it is shorter. The debt is bounded, and it is never more than what the phantom queue is
// ahead of the ring. Without a rate in the policy and without debt, an empty ring gets a little more than the
// estimate.
void steer_headroom(CapacityState &s, const CapacityConfig &config, const RingObservation &ring,
                    double backlog_bytes, bool busy, double dt_s) {
    const double capacity = s.capacity_bytes_per_s;
    s.queue_s += std::min(1.0, dt_s / kQueueSmoothing_s) *
                 (static_cast<double>(ring.waiting_bytes) / capacity - s.queue_s);
    s.ring_target_s = ring_target(s, config, ring);
    if (dt_s <= 0)
        return;
    const double ahead = std::max(0.0, backlog_bytes - static_cast<double>(ring.waiting_bytes));
    const double excess_s = s.queue_s - s.ring_target_s;
    const double correction =
        std::clamp(excess_s / (excess_s > 0 ? kHoldBack_s : kGiveBack_s), -1.0, kStrongestCorrection);
    s.debt_bytes = std::min(s.debt_bytes, ahead);
    const double debt =
        std::clamp(s.debt_bytes + correction * capacity * dt_s, 0.0, config.largest_debt_s * capacity);
    s.headroom = 1 - (debt - s.debt_bytes) / (capacity * dt_s);
    s.debt_bytes = debt;
    if (!config.policy_bytes_per_s && !busy && debt == 0)
        s.headroom = std::max(s.headroom, kHighestHeadroom);
}

// What has left the ring cannot come back: a reading that says so has looked past something that was just
// moving. What the ring took, the sum of both figures, is a counter of ours.
RingObservation believable(const RingObservation &ring, const RingObservation &last) {
    RingObservation out = ring;
    if (!ring.readable || !last.readable || ring.drained_bytes >= last.drained_bytes)
        return out;
    out.waiting_bytes -= std::min(out.waiting_bytes, last.drained_bytes - ring.drained_bytes);
    out.drained_bytes = last.drained_bytes;
    return out;
}

// Small frames use up the descriptors of a ring long before its bytes: what fits is known from those that
// are there, once they are a good part of it. Smaller counts at once, larger and none a little later. Frames
// of the stack may carry no length.
void note_frame_size(CapacityState &s, const CapacityConfig &config, const RingObservation &ring,
                     double dt_s) {
    constexpr uint32_t kFewest = 16, kPart = 32;
    constexpr double kSmallest = 84, kLarger_s = 0.02, kForget_s = 1;
    const bool seen = ring.readable && ring.occupancy >= std::max(kFewest, ring.size / kPart);
    double mean = config.mtu_bytes;
    if (seen)
        mean = std::clamp(static_cast<double>(ring.waiting_bytes) / ring.occupancy,
                          std::min(kSmallest, config.mtu_bytes), config.mtu_bytes);
    if (s.frame_bytes <= 0 || mean < s.frame_bytes)
        s.frame_bytes = mean;
    else
        s.frame_bytes += std::min(1.0, dt_s / (seen ? kLarger_s : kForget_s)) * (mean - s.frame_bytes);
}

} // namespace

void capacity_step(CapacityState &s, const CapacityConfig &config, const RingObservation &observed,
                   Demand demand, double dt_s) {
    const RingObservation ring = believable(observed, s.last);
    s.caught_up = false;
    if (s.capacity_bytes_per_s == 0 && config.policy_bytes_per_s)
        s.capacity_bytes_per_s = *config.policy_bytes_per_s;
    note_frame_size(s, config, ring, dt_s);
    if (ring.readable) {
        const bool busy = !ring.shared && s.last.readable && ring.occupancy > 0 && s.last.occupancy > 0 &&
                          ring.empties == s.last.empties;
        follow_drain(s, config, ring, busy, dt_s);
        if (s.capacity_bytes_per_s > 0) {
            take_proof(s, config, ring, demand, dt_s);
            const bool idle = !busy && (!ring.shared || ring.occupancy == 0);
            probe(s, config, idle, demand, dt_s);
            steer_headroom(s, config, ring, demand.backlog_bytes, busy, dt_s);
        }
    }
    s.last = ring;
}

double ring_bytes(const CapacityState &s, const CapacityConfig &config) {
    return (s.frame_bytes > 0 ? s.frame_bytes : config.mtu_bytes) * s.last.size;
}

double granted(const CapacityState &s) {
    return s.capacity_bytes_per_s > 0 ? s.capacity_bytes_per_s * s.headroom : kUnknown;
}

} // namespace sluice
