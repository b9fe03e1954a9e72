// How to bring each verdict about in a World, and what must be true of the frame, its bytes and all counters
// then.
#pragma once

#include <functional>
#include <optional>

#include "world.hpp"

namespace sluice::progrun {

// A verdict: an enum sluice_outcome, or behind them an enum sluice_would of shadow mode.
constexpr uint32_t would(uint32_t w) {
    return SLUICE_OUTCOMES + w;
}
constexpr uint32_t kVerdicts = would(SLUICE_WOULDS);
constexpr bool is_would(uint32_t verdict) {
    return verdict >= SLUICE_OUTCOMES;
}
// Shadow mode forwards all.
constexpr uint32_t outcome_of(uint32_t verdict) {
    return is_would(verdict) ? uint32_t{SLUICE_FORWARD} : verdict;
}

// The frame, what has to be arranged before it comes, and undone afterwards.
struct Scene {
    FrameSpec spec;
    std::function<void(World &, const Frame &)> before = [](World &, const Frame &) {};
    std::function<void(World &)> after = [](World &) {};
    size_t truncate_by = 0;

    Frame frame() const;
};

// Empty when nobody has said yet how the verdict comes about.
std::optional<Scene> scene(uint32_t verdict, const FrameSpec &spec);

// Runs the frame of `s` once: XDP verdict, bytes, checksum, and every counter of ingress.
void play(World &world, uint32_t verdict, const Scene &s, bool xconnect);

// The same with a frame that really leaves: it is counted as sent, and the device has the expected bytes.
void play_live(World &world, uint32_t verdict, const Scene &s, bool xconnect);

} // namespace sluice::progrun
