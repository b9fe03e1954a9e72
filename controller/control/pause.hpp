// When to send an 802.3x PAUSE frame to the neighbour that feeds a port, and with which time in it. A pure
// step.
#pragma once

#include <cstdint>
#include <optional>

#include "policy/policy.hpp"

namespace sluice {

// The time of a frame is told in quanta of 512 bit times at the speed of that link (IEEE 802.3 annex 31B).
struct PauseLink {
    uint64_t bits_per_s = 0;
};

struct PauseState {
    bool paused = false;
    uint64_t refresh_ns = 0; // when the neighbour must hear of it again
};

// `delay_ns`: of the queues behind the port, the longest. `period_ns`: until the next step, about. What to
// send, in quanta: 0 = go on; nothing = all has been said.
std::optional<uint16_t> pause_step(PauseState &state, const Pause &policy, const PauseLink &link,
                                   uint64_t delay_ns, uint64_t period_ns, uint64_t now_ns);

// The time that a frame with these quanta stands for.
uint64_t pause_ns(const PauseLink &link, uint16_t quanta);

} // namespace sluice
