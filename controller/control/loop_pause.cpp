// Pause frames of the ports that ask for them: what they go by, and the sending.
#include "control/loop.hpp"

#include <algorithm>

#include "dataplane/ethtool.hpp"

namespace sluice {
namespace {

constexpr uint64_t kUnknownSpeed = 1'000'000'000; // bits/s of a link whose driver does not say

} // namespace

// What was told before stays told over a reload: counters, and a pause that has to end.
void Loop::build_pauses() {
    std::vector<PauseRuntime> before = std::move(pauses_);
    pauses_.clear();
    for (uint32_t p = 0; p < policy_.source.ports.size(); p++) {
        if (!policy_.port(p).pause)
            continue;
        PauseRuntime pause;
        for (const auto &old : before)
            if (old.port == p)
                pause = old;
        const auto speed = link_speed_bits_per_s(dataplane_.ports()[p].dev.name);
        pause.port = p;
        pause.policy = *policy_.port(p).pause;
        pause.link = {speed.value_or(kUnknownSpeed)};
        pause.leads_to.clear();
        for (const auto &t : policy_.transitions)
            if (std::find(t.from.begin(), t.from.end(), p) != t.from.end())
                pause.leads_to.push_back(t.to);
        pauses_.push_back(std::move(pause));
    }
}

// Of the queues that frames of this port wait in: the phantom one, or the ring where that holds more.
uint64_t Loop::longest_delay_ns(const PauseRuntime &pause) const {
    double longest_s = 0;
    for (const auto &port : ports_) {
        const double capacity = port.capacity.capacity_bytes_per_s;
        if (capacity <= 0 ||
            std::find(pause.leads_to.begin(), pause.leads_to.end(), port.port) == pause.leads_to.end())
            continue;
        const double waiting =
            std::max(demand_of(port).backlog_bytes, static_cast<double>(port.capacity.last.waiting_bytes));
        longest_s = std::max(longest_s, waiting / capacity);
    }
    return static_cast<uint64_t>(longest_s * 1e9);
}

void Loop::tick_pauses(uint64_t now_ns) {
    for (auto &pause : pauses_) {
        const auto quanta = pause_step(pause.state, pause.policy, pause.link, longest_delay_ns(pause),
                                       period_now_ns(), now_ns);
        if (!quanta)
            continue;
        const auto sent = dataplane_.pause(pause.port, *quanta);
        pause.frames += sent.has_value();
        pause.trouble = sent ? "" : to_string(sent.error());
    }
}

void Loop::fill_pause(PortState &state, uint32_t port) const {
    for (const auto &pause : pauses_) {
        if (pause.port != port)
            continue;
        state.pause_frames = pause.frames;
        if (state.degraded.empty())
            state.degraded = pause.trouble;
    }
}

} // namespace sluice
