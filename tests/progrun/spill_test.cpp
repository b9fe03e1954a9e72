// A flow that spills: how long it stays in the kernel's qdisc, what its class is charged, and the qdisc
// itself.
#include "ways.hpp"

#include <sluice/phantom.h>
#include <unistd.h>

namespace sluice::progrun {
namespace {

constexpr uint32_t kLimit = 35'000;

class Spill : public Ways {
  protected:
    void make_with(const std::string &wan) {
        world = World::make({.policy = policy_with(false, "when_full: [spill, drop]"), .wan = wan + kLte});
        ASSERT_TRUE(world);
    }
    // Nobody has seen the qdisc empty for this long, or somebody just now.
    void drained_ago(uint64_t ns) { world->maps().ports[kWan].spill_drained_ns = monotonic_now_ns() - ns; }
    static void wait_ms(unsigned ms) { usleep(ms * 1000); }
    const Frame frame = build({.payload = 1000});
};

TEST_P(Spill, AFlowStaysUntilTheQdiscHasBeenSeenEmpty) {
    make_with("{device: slow}");
    sluice_flow &flow = refuse(frame);
    drained_ago(900 * kMs);
    EXPECT_EQ(run(frame).outcome, SLUICE_SPILL);
    set_waiting(flow, 0, kLimit);
    wait_ms(60); // longer than `flowlet`
    EXPECT_EQ(run(frame).outcome, SLUICE_SPILL) << "the qdisc may still hold its last frame";
    wait_ms(5);
    drained_ago(0);
    wait_ms(5); // frames of one jiffy may share an older clock
    EXPECT_EQ(run(frame).outcome, SLUICE_FORWARD);
    EXPECT_EQ(run(frame).outcome, SLUICE_FORWARD);
}

// A frame on another CPU, whose clock is older by some ticks, does not overtake 385 others.
TEST_P(Spill, AnOlderClockIsNoReasonToComeBack) {
    make_with("{device: slow}");
    sluice_flow &flow = refuse(frame);
    drained_ago(20 * kMs);
    EXPECT_EQ(run(frame).outcome, SLUICE_SPILL);
    set_waiting(flow, 0, kLimit);
    flow.away = SLUICE_AWAY(SLUICE_AWAY_SPILL, monotonic_now_ns() + 5 * kMs);
    EXPECT_EQ(run(frame).outcome, SLUICE_SPILL);
}

TEST_P(Spill, WithoutAWatcherItComesBackAfterAPause) {
    make_with("{device: slow}");
    sluice_flow &flow = refuse(frame);
    EXPECT_EQ(run(frame).outcome, SLUICE_SPILL);
    set_waiting(flow, 0, kLimit);
    EXPECT_EQ(run(frame).outcome, SLUICE_SPILL);
    wait_ms(60);
    EXPECT_EQ(run(frame).outcome, SLUICE_FORWARD);
}

TEST_P(Spill, IsChargedAsFarAsThePhantomQueueHasRoom) {
    make_with("{device: slow}");
    sluice_flow &flow = refuse(frame, kLimit + 5'000, kLimit);
    drained_ago(900 * kMs);
    EXPECT_EQ(run(frame).admitted, 0u) << "above the limit there is none";
    set_waiting(flow, kLimit - 300, kLimit);
    EXPECT_EQ(run(frame).admitted, 300u);
    EXPECT_EQ(sluice_lag(flow.finish, world->share(index_of(flow)).vt0), kLimit);
    set_waiting(flow, 0, kLimit);
    const Run r = run(frame);
    EXPECT_EQ(r.admitted, frame.size() + 24);
    EXPECT_EQ(r.reply.verdict, kPass);
    EXPECT_EQ(r.reply.out, frame);
}

TEST_P(Spill, TheQdiscIsMadeWatchedAndRemoved) {
    const std::string ours =
        "tc qdisc show dev slow | grep -q 'tbf 5107: root' && tc qdisc show dev slow | grep -q "
        "'pfifo 5108: parent 5107:1 limit 77p'";
    make_with("{device: slow, rate: 50mbit, spill: {qdisc: pfifo, limit: 77}}");
    EXPECT_TRUE(shell(ours));
    sluice_flow &flow = refuse(frame);
    EXPECT_EQ(run(frame).outcome, SLUICE_SPILL);
    set_waiting(flow, 0, kLimit);
    wait_ms(400); // an idle watcher looks every 100 ms
    EXPECT_EQ(run(frame).outcome, SLUICE_FORWARD);
    shell("ping -c 3 -i 0.01 -W 0.1 10.2.0.2 >/dev/null");
    EXPECT_GE(world->tx().slow_packets, 3u) << "the tc program counts what the stack sends";
    EXPECT_GE(world->tx().slow_bytes, 3u * (98 + 24));
    SpillPath *path = world->dataplane->spill(kWan);
    ASSERT_TRUE(path);
    path->want(1'000'000, true);
    wait_ms(100);
    EXPECT_EQ(path->state().bytes_per_s, 1'000'000u);
    EXPECT_TRUE(shell("tc qdisc show dev slow | grep -q 'rate 8Mbit'"));
    world->dataplane.reset();
    EXPECT_FALSE(shell("tc qdisc show dev slow | grep -q 510"));
    EXPECT_FALSE(shell("tc qdisc show dev slow | grep -q clsact"));
}

TEST(SpillQdisc, LeavesAForeignRootAlone) {
    auto world = World::make({.policy = kFib});
    ASSERT_TRUE(world);
    ASSERT_TRUE(shell("tc qdisc add dev slow root handle 9: pfifo limit 33"));
    const SpillQdisc::Config config{.ifindex = world->slow_ifindex,
                                    .device = "slow",
                                    .queue = {SpillKind::pfifo, 50},
                                    .overhead = 24,
                                    .mtu_bytes = 1538};
    const auto refused = SpillQdisc::make(config, 1'000'000);
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().what.find("pfifo"), std::string::npos);
    EXPECT_TRUE(shell("tc qdisc show dev slow | grep -q 'pfifo 9: root.*limit 33p'"));
    ASSERT_TRUE(shell("tc qdisc del dev slow root"));
    {
        auto qdisc = SpillQdisc::make(config, 1'000'000);
        ASSERT_TRUE(qdisc) << to_string(qdisc.error());
        ASSERT_TRUE(shell("tc qdisc replace dev slow root handle 9: pfifo limit 33"));
        EXPECT_FALSE(qdisc->stats()) << "it is not ours any more";
    }
    EXPECT_TRUE(shell("tc qdisc show dev slow | grep -q 'pfifo 9: root'")) << "and stays";
}

INSTANTIATE_TEST_SUITE_P(Fib, Spill, testing::Values(false));

} // namespace
} // namespace sluice::progrun
