#include "control/pause.hpp"

#include <algorithm>
#include <cmath>

namespace sluice {
namespace {

constexpr double kQuantumBits = 512, kMostQuanta = 65535;
constexpr double kSteps = 2; // a pause outlasts so many steps: it is refreshed before it ends

} // namespace

uint64_t pause_ns(const PauseLink &link, uint16_t quanta) {
    return static_cast<uint64_t>(quanta * kQuantumBits * 1e9 / static_cast<double>(link.bits_per_s));
}

// Pauses for as long as the queue needs to drain to `below`, and says so again in the middle of that time,
// with what is left then. A neighbour that hears no more goes on by itself: a daemon that dies stops nobody.
std::optional<uint16_t> pause_step(PauseState &state, const Pause &policy, const PauseLink &link,
                                   uint64_t delay_ns, uint64_t period_ns, uint64_t now_ns) {
    if (!link.bits_per_s)
        return std::nullopt;
    if (state.paused && delay_ns < policy.below_ns) {
        state.paused = false;
        return uint16_t{0};
    }
    if (!state.paused && delay_ns <= policy.above_ns)
        return std::nullopt;
    if (state.paused && now_ns < state.refresh_ns)
        return std::nullopt;
    const uint64_t drain_ns = delay_ns > policy.below_ns ? delay_ns - policy.below_ns : 0;
    const double wanted_ns = std::max(static_cast<double>(drain_ns), kSteps * static_cast<double>(period_ns));
    const double quanta = std::ceil(wanted_ns * 1e-9 * static_cast<double>(link.bits_per_s) / kQuantumBits);
    const auto told = static_cast<uint16_t>(std::clamp(quanta, 1.0, kMostQuanta));
    const uint64_t told_ns = pause_ns(link, told);
    state.paused = true;
    state.refresh_ns = now_ns + (told_ns > 2 * period_ns ? told_ns - period_ns - period_ns / 2 : told_ns / 2);
    return told;
}

} // namespace sluice
