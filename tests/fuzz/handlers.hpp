// A daemon for the HTTP targets that always gives the same answers.
#pragma once

#include <algorithm>

#include "api/handlers.hpp"

namespace sluice::fuzz {

inline Snapshot example() {
    Snapshot s{.version = "0.1.0", .policy_generation = 3, .heartbeat_unix_s = 1'700'000'000, .health = "ok"};
    PortState wan{.name = "wan", .device = "eth1", .up = true};
    wan.rings = {{.index = 0, .size = 1000}};
    wan.kernel_drops = {{"ring_full", 2}};
    wan.classes = {{.transition = "wan", .name = "default", .outcomes = {{"forward", 12}}}};
    s.ports = {wan};
    return s;
}

inline Handlers handlers() {
    Handlers h;
    h.snapshot = example;
    h.reload = [] { return ReloadOutcome{ReloadStatus::applied, 4}; };
    h.apply = [](const ApplyRequest &) { return ReloadOutcome{ReloadStatus::applied, 5}; };
    h.confirm = [] {
        return ReloadOutcome{.status = ReloadStatus::nothing, .failure = "no policy is on trial"};
    };
    h.rollback = h.confirm;
    h.policy = [] { return RunningPolicy{}; };
    h.drops = [](uint64_t since, size_t limit) {
        DropPage page;
        for (uint64_t i = since; i < since + std::min<size_t>(limit, 3) && i >= since; i++)
            page.events.push_back({});
        return page;
    };
    h.history = [](double) { return std::vector<HistoryPoint>{{.unix_s = 1'700'000'000, .ports = {}}}; };
    h.explain = [](const PacketKey &key) { return std::vector<Explanation>(key.in.empty() ? 1 : 0); };
    return h;
}

} // namespace sluice::fuzz
