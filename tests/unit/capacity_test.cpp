// Capacity tracker against a simulated ring whose true rate the test knows: it must find the rate, follow it,
// and not be fooled by spans that tell the rate of the sources instead of the link's.
#include "control/capacity.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>

namespace sluice {
namespace {

constexpr double kFrame = 1538, kTick_s = 0.001;

// A FIFO of whole frames with a drain rate; arrivals come at the start of a step.
class Link {
  public:
    explicit Link(double bytes_per_s, uint32_t size = 1000) : rate_(bytes_per_s) { seen_.size = size; }

    void set_rate(double bytes_per_s) { rate_ = bytes_per_s; }
    RingObservation step(double offered_bytes, double dt_s) {
        offered_ += offered_bytes;
        if (waiting_ < kFrame && offered_ >= kFrame)
            seen_.empties++;
        for (; offered_ >= kFrame && waiting_ / kFrame < seen_.size - 1; offered_ -= kFrame)
            waiting_ += kFrame;
        offered_ = std::min(offered_, kFrame);
        credit_ = waiting_ > 0 ? credit_ + rate_ * dt_s : 0;
        for (; credit_ >= kFrame && waiting_ > 0; credit_ -= kFrame) {
            waiting_ -= kFrame;
            drained_ += kFrame;
        }
        seen_.readable = true;
        seen_.drained_bytes = static_cast<uint64_t>(drained_);
        seen_.waiting_bytes = static_cast<uint64_t>(waiting_);
        seen_.occupancy = static_cast<uint32_t>(std::lround(waiting_ / kFrame));
        return seen_;
    }
    double waiting() const { return waiting_; }

  private:
    double rate_, offered_ = 0, waiting_ = 0, credit_ = 0, drained_ = 0;
    RingObservation seen_;
};

// Sources that always want more, behind a phantom queue that is kept at its limit: what the ring gets is what
// was granted, but for the time before the first measurement, when slow start fills the ring.
struct ClosedLoop {
    CapacityConfig config;
    CapacityState state;
    Link link;
    double link_bytes_per_s, phantom_bytes = 0, granted_bytes = 0, elapsed_s = 0;

    explicit ClosedLoop(double bytes_per_s) : link(bytes_per_s), link_bytes_per_s(bytes_per_s) {
        config.mtu_bytes = kFrame;
    }
    void run(double seconds) {
        for (int i = 0; i < std::lround(seconds / kTick_s); i++) {
            const double limit = std::max(4 * kFrame, 0.010 * state.capacity_bytes_per_s);
            const double offer = state.capacity_bytes_per_s > 0 ? std::max(0.0, limit - phantom_bytes)
                                                                : 1.5 * link_bytes_per_s * kTick_s;
            phantom_bytes += offer;
            const RingObservation seen = link.step(offer, kTick_s);
            capacity_step(state, config, seen, {phantom_bytes, phantom_bytes, true}, kTick_s);
            phantom_bytes = state.caught_up ? 0 : phantom_bytes - granted(state) * kTick_s;
            phantom_bytes = std::max({0.0, phantom_bytes, link.waiting()});
            granted_bytes += granted(state) * kTick_s;
            elapsed_s += kTick_s;
        }
    }
};

class CapacityAtRate : public testing::TestWithParam<double> {};

TEST_P(CapacityAtRate, FindsTheRate) {
    ClosedLoop loop(GetParam());
    loop.run(3);
    EXPECT_NEAR(loop.state.capacity_bytes_per_s, GetParam(), 0.05 * GetParam());
    EXPECT_LT(loop.link.waiting() / GetParam(), 0.03) << "the ring drains to its target";
}

TEST_P(CapacityAtRate, FollowsHalving) {
    ClosedLoop loop(GetParam());
    loop.run(3);
    loop.link.set_rate(GetParam() / 2);
    loop.run(0.5);
    EXPECT_NEAR(loop.state.capacity_bytes_per_s, GetParam() / 2, 0.05 * GetParam());
    loop.run(2);
    EXPECT_LT(loop.link.waiting() / GetParam(), 0.03);
}

TEST_P(CapacityAtRate, FollowsDoubling) {
    ClosedLoop loop(GetParam());
    loop.run(3);
    loop.link.set_rate(GetParam() * 2);
    loop.run(3);
    EXPECT_NEAR(loop.state.capacity_bytes_per_s, GetParam() * 2, 0.15 * GetParam());
}

// Sources that a slow phantom queue has taught to send at its rate lose nothing and fill no ring: only what
// the phantom queue still holds when the ring is empty tells that the link has become faster.
TEST_P(CapacityAtRate, AQueueThatOnlyExistsInThoughtIsNoLimit) {
    ClosedLoop loop(GetParam());
    loop.run(3);
    loop.link.set_rate(GetParam() * 2);
    CapacityState &s = loop.state;
    const double before = s.capacity_bytes_per_s;
    int caught_up = 0;
    for (int i = 0; i < 1000; i++) {
        // In half of the time it holds some frames more than it hands out in a tick.
        const double handed_out = granted(s) * kTick_s, waits = handed_out + (i / 8 % 2 ? 4 * kFrame : 0);
        capacity_step(s, loop.config, loop.link.step(handed_out, kTick_s), {waits, waits, false}, kTick_s);
        caught_up += s.caught_up;
    }
    EXPECT_GT(s.capacity_bytes_per_s, 1.5 * before);
    EXPECT_LE(s.capacity_bytes_per_s, 2.6 * before);
    EXPECT_GT(caught_up, 0);
}

// What a look proved is worth one step: a ring that nobody can read any more proves nothing.
TEST(Capacity, AProofEndsWithTheRing) {
    ClosedLoop loop(6.25e6);
    loop.run(3);
    CapacityState &s = loop.state;
    RingObservation seen = s.last;
    seen.occupancy = 0;
    seen.waiting_bytes = 0;
    for (int i = 0; i < 100 && !s.caught_up; i++) {
        seen.drained_bytes += 7 * 1538;
        capacity_step(s, loop.config, seen, {20 * kFrame, 20 * kFrame, false}, kTick_s);
    }
    ASSERT_TRUE(s.caught_up);
    capacity_step(s, loop.config, {}, {20 * kFrame, 20 * kFrame, false}, kTick_s);
    EXPECT_FALSE(s.caught_up);
}

// What a class has waiting for its own ceiling, or loses there, says nothing about the port.
TEST_P(CapacityAtRate, ACeilingIsNotTheLimitOfThePort) {
    ClosedLoop loop(GetParam());
    loop.run(3);
    const double before = loop.state.capacity_bytes_per_s;
    for (int i = 0; i < 3000; i++)
        capacity_step(loop.state, loop.config, loop.link.step(i % 8 ? 0 : kFrame, kTick_s),
                      {20 * kFrame, 0, false}, kTick_s);
    EXPECT_NEAR(loop.state.capacity_bytes_per_s, before, 0.05 * before);
}

// Frames of the stack share the ring: that ours do not fill it is no sign of a faster link.
TEST(Capacity, ASharedRingThatIsFullIsNotIdle) {
    ClosedLoop loop(6.25e6);
    loop.run(3);
    const double before = loop.state.capacity_bytes_per_s;
    for (int i = 0; i < 1000; i++) {
        RingObservation seen = loop.link.step(6.25e6 * kTick_s, kTick_s);
        seen.shared = true;
        seen.occupancy = 30;
        capacity_step(loop.state, loop.config, seen, {9 * kFrame, 9 * kFrame, true}, kTick_s);
    }
    EXPECT_NEAR(loop.state.capacity_bytes_per_s, before, 0.02 * before);
    EXPECT_FALSE(loop.state.ring_idle);
}

TEST_P(CapacityAtRate, OneStalledReaderIsNoNewRate) {
    ClosedLoop loop(GetParam());
    loop.run(3);
    const double before = loop.state.capacity_bytes_per_s;
    loop.link.set_rate(0);
    loop.run(0.020);
    loop.link.set_rate(GetParam());
    loop.run(0.1);
    EXPECT_NEAR(loop.state.capacity_bytes_per_s, before, 0.15 * before);
}

INSTANTIATE_TEST_SUITE_P(Rates, CapacityAtRate, testing::Values(2.5e6, 6.25e6, 12.5e6, 62.5e6),
                         [](const auto &rate) {
                             return std::to_string(static_cast<int>(rate.param * 8e-6)) + "mbit";
                         });

TEST(Capacity, NothingIsMeasuredWhileTheRingEmpties) {
    CapacityConfig config;
    CapacityState state;
    Link link(12.5e6);
    for (int i = 0; i < 2000; i++) // 3 frames per tick, drained within it
        capacity_step(state, config, link.step(3 * kFrame, kTick_s), {}, kTick_s);
    EXPECT_EQ(state.drain_bytes_per_s, 0);
    EXPECT_EQ(state.capacity_bytes_per_s, 0) << "5 MB/s is what the sources sent";
    EXPECT_GT(granted(state), 1e9) << "an unknown link is not throttled";
}

TEST(Capacity, LightLoadDoesNotLowerAKnownRate) {
    ClosedLoop loop(12.5e6);
    loop.run(2);
    const double before = loop.state.capacity_bytes_per_s;
    for (int i = 0; i < 5000; i++)
        capacity_step(loop.state, loop.config, loop.link.step(i % 3 ? 0 : 2 * kFrame, kTick_s), {}, kTick_s);
    EXPECT_GT(loop.state.capacity_bytes_per_s, 0.95 * before);
}

TEST(Capacity, APolicyRateIsUsedAtOnce) {
    CapacityConfig config;
    config.policy_bytes_per_s = 1e6;
    CapacityState state;
    capacity_step(state, config, {}, {}, 0);
    EXPECT_EQ(granted(state), 1e6);
}

TEST(Capacity, UnreadableRingLeavesThePolicyRate) {
    CapacityConfig config;
    config.policy_bytes_per_s = 1e6;
    CapacityState state;
    for (int i = 0; i < 1000; i++)
        capacity_step(state, config, {}, {1e6, 1e6, true}, kTick_s);
    EXPECT_EQ(granted(state), 1e6);
}

TEST(Capacity, ALinkSlowerThanThePolicySaysIsFound) {
    ClosedLoop loop(6.25e6);
    loop.config.policy_bytes_per_s = 12.5e6;
    loop.run(3);
    EXPECT_NEAR(loop.state.capacity_bytes_per_s, 6.25e6, 0.05 * 6.25e6);
}

// The ring runs empty, however long the classes wait: the rate of the link stays unknown, and that of the
// policy is not taken for it.
TEST(Capacity, ALinkFasterThanThePolicyStaysUnmeasured) {
    CapacityConfig config;
    config.policy_bytes_per_s = 1e6;
    CapacityState state;
    Link link(62.5e6);
    for (int i = 0; i < 2000; i++)
        capacity_step(state, config, link.step(i % 3 ? 0 : 2 * kFrame, kTick_s),
                      {20 * kFrame, 20 * kFrame, true}, kTick_s);
    EXPECT_EQ(granted(state), 1e6);
    EXPECT_TRUE(state.ring_idle);
    EXPECT_EQ(state.link_bytes_per_s, 0);
}

TEST_P(CapacityAtRate, AFullRingIsNotIdle) {
    CapacityConfig config;
    config.policy_bytes_per_s = GetParam();
    CapacityState state;
    Link link(GetParam());
    for (int i = 0; i < 2000; i++)
        capacity_step(state, config, link.step(2 * GetParam() * kTick_s, kTick_s),
                      {20 * kFrame, 20 * kFrame, true}, kTick_s);
    EXPECT_FALSE(state.ring_idle);
    EXPECT_NEAR(state.link_bytes_per_s, GetParam(), 0.1 * GetParam());
}

// Held-back service may be given back, so a single tick can exceed the rate; their sum cannot.
RC_GTEST_PROP(CapacityProperty, NeverMoreThanThePolicyPromises, ()) {
    ClosedLoop loop(1e6 * *rc::gen::inRange(1, 50));
    loop.config.policy_bytes_per_s = 1e6 * *rc::gen::inRange(1, 25);
    const double promised = *loop.config.policy_bytes_per_s;
    for (int phase = 0; phase < 4; phase++) {
        loop.link.set_rate(1e6 * *rc::gen::inRange(0, 50));
        for (int i = 0; i < 10; i++) {
            loop.run(0.02);
            RC_ASSERT(loop.state.capacity_bytes_per_s <= promised);
            RC_ASSERT(loop.granted_bytes <= promised * loop.elapsed_s * 1.000001);
        }
    }
}

// A link that stands still for a while (pause frames, a radio that lost its cell) is slow, not unknown.
TEST(Capacity, AStandstillIsNotAnUnknownLink) {
    ClosedLoop loop(6.25e6);
    loop.run(3);
    for (int i = 0; i < 50; i++) {
        loop.link.set_rate(0);
        loop.run(0.01);
        ASSERT_LE(granted(loop.state), 6.25e6 * 1.2)
            << "after " << (i + 1) * 10 << " ms without a frame drained";
    }
    loop.link.set_rate(6.25e6);
    loop.run(3);
    EXPECT_NEAR(loop.state.capacity_bytes_per_s, 6.25e6, 0.1 * 6.25e6);
}

// Whatever the ring shows, the figures that are published stay finite and not negative.
RC_GTEST_PROP(CapacityProperty, AlwaysFinite, ()) {
    CapacityConfig config;
    if (*rc::gen::arbitrary<bool>())
        config.policy_bytes_per_s = *rc::gen::inRange(1, 1'000'000'000);
    CapacityState state;
    RingObservation seen;
    for (int i = 0; i < 60; i++) {
        seen.readable = *rc::gen::inRange(0, 8) != 0;
        seen.drained_bytes += *rc::gen::inRange<uint64_t>(0, 100'000);
        seen.waiting_bytes = *rc::gen::inRange<uint64_t>(0, 1'500'000);
        seen.occupancy = *rc::gen::inRange<uint32_t>(0, 1001);
        seen.size = *rc::gen::element(0u, 1u, 256u, 1000u);
        seen.empties += *rc::gen::inRange<uint32_t>(0, 2);
        const double dt_s = *rc::gen::inRange(1, 50) * 0.001;
        capacity_step(state, config, seen,
                      {double(*rc::gen::inRange(0, 1'000'000)), double(*rc::gen::inRange(0, 1'000'000)),
                       *rc::gen::arbitrary<bool>()},
                      dt_s);
        RC_ASSERT(std::isfinite(state.capacity_bytes_per_s));
        RC_ASSERT(std::isfinite(state.headroom));
        RC_ASSERT(std::isfinite(granted(state)));
        RC_ASSERT(granted(state) >= 0);
        RC_ASSERT(std::isfinite(state.queue_s));
    }
}

// The ring took 1,020,000 bytes in all; a look that was interrupted says that a whole lap of them still
// waits.
TEST(Capacity, WhatHasLeftTheRingDoesNotComeBack) {
    CapacityConfig config;
    CapacityState state;
    capacity_step(state, config, {true, 1'000'000, 20'000, 13, 1000, 0}, {20'000, 20'000}, kTick_s);
    capacity_step(state, config, {true, 20'000, 1'000'000, 999, 1000, 0}, {20'000, 20'000}, kTick_s);
    EXPECT_EQ(state.last.drained_bytes, 1'000'000u);
    EXPECT_EQ(state.last.waiting_bytes, 20'000u);
    capacity_step(state, config, {true, 1'010'000, 15'000, 10, 1000, 0}, {20'000, 20'000}, kTick_s);
    EXPECT_EQ(state.last.waiting_bytes, 15'000u);
}

// 700 of 1,000 descriptors hold frames of 88 bytes: the ring is full at 88,000 bytes, not at 1.5 million.
TEST(Capacity, ARingOfSmallFramesHoldsFewBytes) {
    const CapacityConfig config;
    CapacityState state;
    const auto look = [&](uint32_t frames, double frame_bytes, double seconds) {
        RingObservation seen{true, 0, static_cast<uint64_t>(frames * frame_bytes), frames, 1000, 0};
        for (double t = 0; t < seconds; t += kTick_s)
            capacity_step(state, config, seen, {}, kTick_s);
        return ring_bytes(state, config);
    };
    EXPECT_DOUBLE_EQ(look(0, 0, kTick_s), 1'538'000);
    EXPECT_DOUBLE_EQ(look(20, 88, 1), 1'538'000) << "a few acknowledgements are no pressure";
    EXPECT_DOUBLE_EQ(look(700, 88, kTick_s), 88'000) << "at once";
    EXPECT_NEAR(look(700, 1538, 0.1), 1'538'000, 20'000) << "larger ones soon";
    EXPECT_DOUBLE_EQ(look(700, 88, kTick_s), 88'000);
    EXPECT_LT(look(10, 1538, 0.1), 500'000) << "what was seen holds for a while";
    EXPECT_NEAR(look(10, 1538, 6), 1'538'000, 20'000);
    EXPECT_DOUBLE_EQ(look(700, 0, kTick_s), 84'000) << "frames of the stack may carry no length";
}

TEST(Capacity, NoTimeAtAll) {
    CapacityConfig config;
    CapacityState state;
    RingObservation seen{true, 0, 20'000, 20, 1000, 0};
    for (int i = 0; i < 10; i++) {
        seen.drained_bytes += 20'000;
        capacity_step(state, config, seen, {10'000, 10'000, true}, 0);
    }
    seen.occupancy = 0;
    seen.empties++;
    capacity_step(state, config, seen, {10'000, 10'000, true}, 0);
    EXPECT_TRUE(std::isfinite(state.capacity_bytes_per_s));
    EXPECT_TRUE(std::isfinite(granted(state)));
}

} // namespace
} // namespace sluice
