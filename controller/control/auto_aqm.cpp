#include "control/auto_aqm.hpp"

#include <algorithm>
#include <cmath>

namespace sluice {
namespace {

constexpr double kTarget_s = 0.005, kInterval_s = 0.100; // RFC 8289 section 4
constexpr double kLimit_s = 0.020, kLoneLimit_s = 0.060, kStep_s = 0.001;
constexpr double kEctRoom = 2;  // limits that flows which can be marked have where nothing better is known
constexpr double kFewFlows = 4; // fewer have the target of so many
constexpr double kTargetFrames = 2, kLimitFrames = 4;
constexpr double kRingShare = 0.75; // of the ring that the limits may fill

double seconds(uint64_t ns) {
    return static_cast<double>(ns) * 1e-9;
}

} // namespace

AqmNow resolve_aqm(const Aqm &policy, double frame_s, double ring_s, uint32_t flows) {
    AqmNow now;
    const double smallest_s = kLimitFrames * frame_s;
    const double largest_s = ring_s > 0 ? std::max(smallest_s, ring_s * kRingShare) : 1;
    const double few = std::max(1.0, kFewFlows / std::max(1u, flows));
    const double limit_s = std::max(kLimit_s, kLoneLimit_s / std::max(1u, flows));
    now.limit_s = policy.limit_ns ? seconds(*policy.limit_ns) : std::clamp(limit_s, smallest_s, largest_s);
    // A slow start that meets the limit doubles once more before the echo of its CE arrives, and flows that
    // join lower the limit under those that are there: to lose nothing they may use what the ring has, for a
    // moment.
    now.ect_limit_s =
        policy.limit_ns || ring_s <= 0 ? kEctRoom * now.limit_s : std::max(now.limit_s, largest_s);
    now.target_s = policy.target_ns ? seconds(*policy.target_ns)
                                    : std::max(kTargetFrames * frame_s,
                                               std::min({kTarget_s * few, now.limit_s / 2, largest_s / 4}));
    now.short_limit_s = std::min(now.limit_s, std::max(kTarget_s, smallest_s));
    now.interval_s = policy.interval_ns ? seconds(*policy.interval_ns)
                                        : std::max(kInterval_s * std::sqrt(few), 2 * now.target_s);
    now.step_s = policy.l4s_step_ns ? seconds(*policy.l4s_step_ns)
                                    : std::max(kTargetFrames * frame_s, std::min(kStep_s, now.limit_s / 4));
    return now;
}

Pi2Gains pi2_gains(const AqmNow &aqm) {
    constexpr double kShortestUpdate_s = 0.001;
    Pi2Gains gains;
    gains.update_s = std::max(kShortestUpdate_s, std::min(aqm.target_s, aqm.interval_s / 3));
    gains.alpha = 0.1 * gains.update_s / (aqm.interval_s * aqm.interval_s);
    gains.beta = 0.3 / aqm.interval_s;
    return gains;
}

} // namespace sluice
