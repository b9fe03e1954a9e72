// The law headers with the names that the tests use.
#pragma once

#include <cstdint>

#include <sluice/codel.h>

namespace sluice {

using Codel = sluice_codel;
using CodelParams = sluice_codel_params;

inline bool codel_signals(Codel &state, const CodelParams &params, uint64_t delay_ns, uint64_t now_ns) {
    return sluice_codel_signal(&state, &params, delay_ns, now_ns) != 0;
}

} // namespace sluice
