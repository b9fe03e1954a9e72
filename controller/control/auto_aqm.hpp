// `auto` in the policy: AQM parameters from the capacity, the ring and the number of flows. Pure.
#pragma once

#include <cstdint>

#include "policy/policy.hpp"

namespace sluice {

struct AqmNow {
    double target_s = 0, interval_s = 0, limit_s = 0, short_limit_s = 0, step_s = 0;
};

// `ring_s`: time in which a full ring drains, 0 = unknown. `frame_s`: time of one full frame at capacity.
// `flows`: with phantom backlog; a lone flow may use more of the ring than one of many.
AqmNow resolve_aqm(const Aqm &policy, double frame_s, double ring_s, uint32_t flows);

} // namespace sluice
