// Reroute: when a flow leaves for the overflow port, when it stays there, when it comes home; by which next
// hop; who counts it.
#include "ways.hpp"

namespace sluice::progrun {
namespace {

constexpr Mac kLteSink{2, 0, 0, 0, 4, 2};

class Reroute : public Ways {
  protected:
    // `home` and `there`: service of each flow, bytes per ns with 32 fraction bits.
    void start(const Frame &f, uint64_t home = 1000, uint64_t there = 2000) {
        flow = &refuse(f);
        serve(home, there);
    }
    // Virtual time stands still where set_lag() wants it: the clock's rate is 0, so what tells the service is
    // put back after it.
    void serve(uint64_t home, uint64_t there) {
        world->share(index_of(*flow)).bytes_per_ns = home;
        world->share(kLteClass).bytes_per_ns = there;
    }
    uint64_t taken_over() {
        uint64_t sum = 0;
        for (uint32_t cpu = 0; cpu < world->maps().cpus; cpu++)
            sum += world->maps().class_count(world->dataplane->class_base() + kLteClass, cpu).taken_over;
        return sum;
    }
    void expect_rerouted(const Frame &f) {
        const uint64_t before = taken_over();
        const Run r = run(f);
        EXPECT_EQ(r.outcome, SLUICE_REROUTE);
        EXPECT_EQ(r.reply.verdict, kRedirect);
        EXPECT_EQ(taken_over() - before, 1u);
        Frame expected = f;
        if (!xconnect())
            route_hop(expected, kLteSink, kLteMac);
        EXPECT_EQ(r.reply.out, expected);
        EXPECT_EQ(r.admitted, expected.size() + 24) << "charged to the class of the other port";
    }
    static constexpr uint32_t kLteClass = 2; // all, default, and the default of the second transition
    static constexpr const char *kPolicy = "when_full: [reroute, drop]";
    sluice_flow *flow = nullptr;
};

TEST_P(Reroute, ARefusedFrameLeavesByTheOtherPort) {
    make(kPolicy);
    for (int family : {4, 6})
        for (int tags = 0; tags <= 2; tags++) {
            const Frame f = build({.family = family, .tags = tags, .payload = 1000});
            start(f);
            expect_rerouted(f);
            EXPECT_EQ(SLUICE_AWAY_WHERE(flow->away), 1);
        }
}

TEST_P(Reroute, APortThatServesItsFlowsNoBetterIsNoWay) {
    make(kPolicy);
    const Frame f = build({.payload = 1000});
    start(f, 1000, 1124);
    EXPECT_EQ(run(f).outcome, SLUICE_DROP_LIMIT);
    start(f, 1000, 1125);
    expect_rerouted(f);
}

// A frame of the flow has just entered the first port's ring, which takes 50 ms to drain: one that left by
// the other port now would overtake it.
TEST_P(Reroute, AFrameThatWouldOvertakeIsNotRerouted) {
    make(kPolicy);
    const Frame f = build({.payload = 1000});
    start(f);
    flow->away = SLUICE_AWAY(0, monotonic_now_ns());
    world->tx().empty_at_ns = monotonic_now_ns() + 50 * kMs;
    EXPECT_EQ(run(f).outcome, SLUICE_DROP_LIMIT);
    flow->away = SLUICE_AWAY(0, monotonic_now_ns() - 60 * kMs);
    serve(1000, 2000);
    expect_rerouted(f);
}

TEST_P(Reroute, AFlowThatIsAwayStaysUntilAPause) {
    make(kPolicy);
    const Frame f = build({.payload = 1000});
    start(f);
    expect_rerouted(f);
    set_waiting(*flow, 0, 35'000); // home would take it
    serve(1000, 100);
    expect_rerouted(f);
    flow->away = SLUICE_AWAY(1, monotonic_now_ns() - 30 * kMs); // flowlet: 20ms
    serve(100, 1000);
    expect_rerouted(f); // home is full: a pause alone is no reason
    flow->away = SLUICE_AWAY(1, monotonic_now_ns() - 30 * kMs);
    serve(1000, 100);
    EXPECT_EQ(run(f).outcome, SLUICE_FORWARD);
    EXPECT_EQ(SLUICE_AWAY_WHERE(flow->away), 0);
}

TEST_P(Reroute, RefusedThereItIsDroppedAndComesHomeIfThatIsBetter) {
    make(kPolicy);
    const Frame f = build({.payload = 1000});
    for (const bool better : {false, true}) {
        start(f);
        expect_rerouted(f);
        set_waiting(*flow, 0, 35'000);
        serve(better ? 1000 : 100, 200);
        set_limits(world->share(kLteClass), 100, 100); // less than what it has sent
        EXPECT_EQ(run(f).outcome, SLUICE_DROP_LIMIT);
        EXPECT_EQ(SLUICE_AWAY_WHERE(flow->away), better ? 0 : 1);
    }
}

TEST_P(Reroute, WithoutAWayThereTheNextOneIsTaken) {
    make("when_full: [reroute, trim, drop]");
    const Frame f = build({.payload = 1000});
    start(f, 1000, 1000);
    EXPECT_EQ(run(f).outcome, SLUICE_TRIM) << "not better served there";
    world->maps().ports[kLtePort].mtu = 500;
    if (xconnect()) {
        start(f);
        EXPECT_EQ(run(f).outcome, SLUICE_TRIM) << "too long for the other device";
    }
    world->maps().ports[kLtePort].ifindex = 0;
    start(f);
    EXPECT_EQ(run(f).outcome, SLUICE_TRIM) << "no such device";
}

TEST_P(Reroute, AFlowWhosePortIsGoneComesHomeWithoutALoss) {
    make(kPolicy);
    const Frame f = build({.payload = 1000});
    start(f);
    expect_rerouted(f);
    world->maps().ports[kLtePort].ifindex = 0;
    const uint64_t finish = flow->finish;
    const Run r = run(f);
    EXPECT_EQ(r.outcome, SLUICE_FORWARD);
    EXPECT_EQ(flow->finish - finish, f.size() + 24);
    EXPECT_EQ(SLUICE_AWAY_WHERE(flow->away), 0);
    Frame expected = f;
    if (!xconnect())
        route_hop(expected, kSinkMac, kSlowMac);
    EXPECT_EQ(r.reply.out, expected);
}

TEST_P(Reroute, ShadowModeCountsAndForwards) {
    make(kPolicy);
    const Frame f = build({.payload = 1000});
    start(f);
    world->maps().transitions[world->dataplane->generation() * SLUICE_MAX_TRANSITIONS].shadow = 1;
    const Run r = run(f);
    EXPECT_EQ(r.outcome, SLUICE_FORWARD);
    EXPECT_EQ(r.would[SLUICE_WOULD_REROUTE], 1u);
    EXPECT_EQ(taken_over(), 0u);
    EXPECT_EQ(SLUICE_AWAY_WHERE(flow->away), 0);
}

// Without `next_hop` the kernel's routes tell: one by the other device, of whatever metric.
TEST(RerouteByRoutes, TheRouteByThatDeviceCounts) {
    auto world = World::make({.policy = policy_with(false, "when_full: [reroute, drop]"),
                              .wan = "{device: slow}\n  lte: {device: lte}"});
    ASSERT_TRUE(world);
    const Frame f = build({.payload = 1000});
    const auto outcomes = [&] {
        world->reset();
        sluice_flow &flow = world->flow_of(f);
        world->set_lag(flow, 40'000);
        world->share(1).target_bytes = 10'000;
        set_limits(world->share(1), 35'000, 35'000);
        world->share(1).bytes_per_ns = 1;
        world->share(2).bytes_per_ns = 2;
        const Totals before = world->totals();
        world->run(f);
        const Totals after = world->totals();
        return std::pair{after.outcome[SLUICE_REROUTE] - before.outcome[SLUICE_REROUTE],
                         after.outcome[SLUICE_DROP_LIMIT] - before.outcome[SLUICE_DROP_LIMIT]};
    };
    EXPECT_EQ(outcomes(), (std::pair<uint64_t, uint64_t>{0, 1})) << "no route leaves there";
    ASSERT_TRUE(shell("ip route add 10.2.0.0/16 via 10.4.0.2 dev lte metric 500"));
    EXPECT_EQ(outcomes(), (std::pair<uint64_t, uint64_t>{1, 0}));
}

INSTANTIATE_TEST_SUITE_P(Forward, Reroute, testing::Bool(),
                         [](const auto &xconnect) { return xconnect.param ? "Xconnect" : "Fib"; });

} // namespace
} // namespace sluice::progrun
