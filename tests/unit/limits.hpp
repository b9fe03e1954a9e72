// Limits of a share, set by tests that care for "a limit", not for how many kinds of it the law knows at the
// moment.
#pragma once

#include <sluice/abi.h>

#include <cstdint>

namespace sluice {

// Every hard limit of the share: `least` for the strictest one, `most` for the others.
template <class Share> void set_limits(Share &s, uint64_t least, uint64_t most) {
    s.limit_bytes = most;
    if constexpr (requires { s.burst_bytes; }) {
        s.limit_bytes = least;
        s.burst_bytes = most;
    }
    if constexpr (requires { s.short_limit_bytes; })
        s.short_limit_bytes = least;
}

// As Loop::publish() does with what resolve_aqm() says.
template <class Share, class AqmNow, class ToBytes>
void publish_limits(Share &s, const AqmNow &aqm, ToBytes bytes) {
    s.limit_bytes = bytes(aqm.limit_s);
    if constexpr (requires {
                      s.burst_bytes;
                      aqm.burst_s;
                  })
        s.burst_bytes = bytes(aqm.burst_s);
    if constexpr (requires {
                      s.short_limit_bytes;
                      aqm.short_limit_s;
                  })
        s.short_limit_bytes = bytes(aqm.short_limit_s);
}

template <class AqmNow> double longest_limit_s(const AqmNow &aqm) {
    if constexpr (requires { aqm.burst_s; })
        return aqm.burst_s;
    else
        return aqm.limit_s;
}

// resolve_aqm(), for `flows` flows with phantom backlog where it wants to know.
template <class Policy> auto aqm_for(const Policy &policy, double frame_s, double ring_s, uint32_t flows) {
    if constexpr (requires { resolve_aqm(policy, frame_s, ring_s, flows); })
        return resolve_aqm(policy, frame_s, ring_s, flows);
    else
        return resolve_aqm(policy, frame_s, ring_s);
}

template <class Flow> void set_pressure(Flow &f, unsigned value) {
    if constexpr (requires { f.pressure; })
        f.pressure = static_cast<decltype(f.pressure)>(value);
}

} // namespace sluice
