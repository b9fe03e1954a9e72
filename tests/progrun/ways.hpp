// Two slow ports, and flows whose frames must not join the first one's queue.
#pragma once

#include "limits.hpp"
#include "world.hpp"

namespace sluice::progrun {

constexpr uint64_t kMs = 1'000'000;
constexpr uint32_t kLtePort = 2;

inline const char *const kLte = "\n  lte: {device: lte, next_hop: [10.4.0.2, fd04::2]}";

inline std::string policy_with(bool xconnect, const std::string &default_class) {
    const std::string forward = xconnect ? "xconnect" : "fib";
    return "\ntransitions:\n  - from: [lan]\n    to: wan\n    forward: " + forward +
           "\n    overflow: [lte]\n    flowlet: 20ms\n    classes:\n      - {name: all, match: [{length: "
           "5000-6000}], "
           "when_full: [reroute, drop]}\n      - {name: default, " +
           default_class + "}\n  - {from: [lan], to: lte, forward: " + forward + "}\n";
}

class Ways : public testing::TestWithParam<bool> {
  protected:
    void make(const std::string &default_class, uint32_t mtu = 1500) {
        world = World::make({.policy = policy_with(GetParam(), default_class),
                             .wan = std::string("{device: slow}") + kLte,
                             .slow_mtu = mtu > 1500 ? mtu : kSlowMtu,
                             .fast_mtu = mtu});
        ASSERT_TRUE(world);
        for (uint32_t c = 0; c < 3; c++)
            world->klass(c).codel = {5 * kMs, 100 * kMs};
    }
    bool xconnect() const { return GetParam(); }
    uint32_t index_of(const sluice_flow &flow) const {
        return flow.class_id - world->dataplane->class_base();
    }

    // The frame's flow waits `lag` bytes, its limit is `limit`.
    sluice_flow &refuse(const Frame &f, uint64_t lag = 40'000, uint64_t limit = 35'000) {
        world->reset();
        sluice_flow &flow = world->flow_of(f);
        set_waiting(flow, lag, limit);
        return flow;
    }
    void set_waiting(sluice_flow &flow, uint64_t lag, uint64_t limit) {
        sluice_share &share = world->share(index_of(flow));
        world->set_lag(flow, lag);
        share.target_bytes = limit / 2;
        set_limits(share, limit, limit);
    }
    struct Run {
        Reply reply;
        uint32_t outcome = SLUICE_OUTCOMES; // the one that was counted
        uint64_t admitted = 0;              // bytes
        std::array<uint64_t, SLUICE_WOULDS> would{};
    };
    // Runs the frame; exactly one outcome must be counted.
    Run run(const Frame &f) {
        const Totals before = world->totals();
        Run r{world->run(f)};
        const Totals after = world->totals();
        uint64_t counted = 0;
        for (uint32_t o = 0; o < SLUICE_OUTCOMES; o++)
            if (const uint64_t n = after.outcome[o] - before.outcome[o]) {
                counted += n;
                r.outcome = o;
            }
        EXPECT_EQ(counted, 1u);
        EXPECT_EQ(after.received - before.received, 1u);
        for (uint32_t w = 0; w < SLUICE_WOULDS; w++)
            r.would[w] = after.would[w] - before.would[w];
        r.admitted = after.admitted_bytes - before.admitted_bytes;
        return r;
    }
    std::unique_ptr<World> world;
};

} // namespace sluice::progrun
