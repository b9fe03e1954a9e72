// `auto` in the policy: AQM parameters from the capacity, the ring and the number of flows. Pure.
#pragma once

#include <cstdint>

#include "policy/policy.hpp"

namespace sluice {

struct AqmNow {
    double target_s = 0, interval_s = 0, limit_s = 0, short_limit_s = 0, step_s = 0;
    double ect_limit_s = 0; // of flows that can be marked: at least limit_s
};

// `ring_s`: time in which a full ring drains, 0 = unknown. `frame_s`: time of one full frame, at the rate
// that decides how long others wait for it. `flows`: with phantom backlog; a lone flow may use more of the
// ring than one of many.
AqmNow resolve_aqm(const Aqm &policy, double frame_s, double ring_s, uint32_t flows);

// PI2's gains for an AQM whose `interval` is the longest round trip (RFC 9332, appendix A.1). Per second.
struct Pi2Gains {
    double update_s = 0, alpha = 0, beta = 0;
};
Pi2Gains pi2_gains(const AqmNow &aqm);

} // namespace sluice
