// CoDel as an admission law: when does it signal, how often, and does it survive the edges of its arithmetic?
// The clock is an argument; nothing here sleeps.
#include "laws.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <vector>

namespace sluice {
namespace {

constexpr uint64_t kMs = 1'000'000;
constexpr CodelParams kRfc{5 * kMs, 100 * kMs};

// Offers one packet of constant delay every `gap_ns` and returns the times of the signals.
std::vector<uint64_t> signals(Codel &s, const CodelParams &p, uint64_t delay_ns, uint64_t from_ns,
                              uint64_t until_ns, uint64_t gap_ns) {
    std::vector<uint64_t> out;
    for (uint64_t t = from_ns; t - from_ns < until_ns - from_ns; t += gap_ns)
        if (codel_signals(s, p, delay_ns, t))
            out.push_back(t);
    return out;
}

TEST(Codel, TargetItselfIsGood) {
    Codel s{};
    EXPECT_TRUE(signals(s, kRfc, kRfc.target_ns, 1, 10'000 * kMs, kMs).empty());
    EXPECT_EQ(s.first_above_ns, 0u);
    EXPECT_FALSE(codel_signals(s, kRfc, kRfc.target_ns + 1, 1));
    EXPECT_NE(s.first_above_ns, 0u) << "one ns above target starts the interval";
}

TEST(Codel, FirstSignalAfterOneInterval) {
    Codel s{};
    const auto at = signals(s, kRfc, 6 * kMs, 1000, 1000 + 150 * kMs, kMs);
    ASSERT_FALSE(at.empty());
    EXPECT_EQ(at.front(), 1000 + 100 * kMs);
}

TEST(Codel, OneGoodPacketStartsTheIntervalAgain) {
    Codel s{};
    EXPECT_TRUE(signals(s, kRfc, 6 * kMs, 1, 99 * kMs, kMs).empty());
    EXPECT_FALSE(codel_signals(s, kRfc, kMs, 99 * kMs));
    EXPECT_TRUE(signals(s, kRfc, 6 * kMs, 100 * kMs, 199 * kMs, kMs).empty());
    EXPECT_TRUE(codel_signals(s, kRfc, 6 * kMs, 200 * kMs));
}

TEST(Codel, AGoodPacketEndsThePhase) {
    Codel s{};
    signals(s, kRfc, 20 * kMs, 1, 1000 * kMs, kMs);
    ASSERT_TRUE(s.dropping);
    EXPECT_FALSE(codel_signals(s, kRfc, 0, 1000 * kMs));
    EXPECT_FALSE(s.dropping);
    EXPECT_EQ(s.first_above_ns, 0u);
}

// RFC 8289 section 5.5: interval / sqrt(count).
TEST(Codel, StepFollowsTheInverseSquareRoot) {
    for (uint32_t count = 1; count < 1u << 14; count++) {
        const double want = 100.0 * kMs / std::sqrt(count);
        EXPECT_NEAR(static_cast<double>(sluice_codel_step(100 * kMs, count)), want, 0.04 * want)
            << "count " << count;
    }
}

TEST(Codel, StepSaturatesAndNeverVanishes) {
    const uint64_t least = sluice_codel_step(100 * kMs, 1u << 14);
    EXPECT_EQ(least, sluice_codel_step(100 * kMs, ~0u));
    EXPECT_GT(least, 0u);
    EXPECT_LE(sluice_codel_step(100 * kMs, 0), 100 * kMs);
    EXPECT_EQ(sluice_codel_step(0, 1), 0u);
    // No overflow up to the longest interval that a policy may ask for.
    EXPECT_NEAR(static_cast<double>(sluice_codel_step(10'000 * kMs, 1)), 10'000.0 * kMs, 1.0);
}

TEST(Codel, StepNeverGrowsByMoreThanTheTableRounds) {
    for (uint32_t count = 1; count < 1u << 14; count++) {
        const double next = static_cast<double>(sluice_codel_step(100 * kMs, count + 1));
        EXPECT_LE(next, 1.04 * static_cast<double>(sluice_codel_step(100 * kMs, count))) << "count " << count;
    }
}

TEST(Codel, SignalsComeFasterWhileItDoesNotHelp) {
    Codel s{};
    const auto at = signals(s, kRfc, 50 * kMs, 1, 5000 * kMs, kMs / 10);
    ASSERT_GT(at.size(), 100u);
    double expected = static_cast<double>(at[0]);
    for (size_t i = 1; i < at.size(); i++) {
        expected += 100.0 * kMs / std::sqrt(static_cast<double>(i));
        EXPECT_NEAR(static_cast<double>(at[i]), expected, 0.04 * expected + kMs) << "signal " << i;
    }
}

// The rate that held before a short good spell is resumed; after a long one the law starts over.
TEST(Codel, RemembersTheCountForSixteenIntervals) {
    Codel s{};
    signals(s, kRfc, 50 * kMs, 1, 2000 * kMs, kMs);
    const uint32_t reached = s.count;
    ASSERT_GT(reached, 4u);
    Codel late = s;
    codel_signals(s, kRfc, 0, 2001 * kMs);
    signals(s, kRfc, 50 * kMs, 2010 * kMs, 2111 * kMs, kMs);
    ASSERT_TRUE(s.dropping);
    EXPECT_GT(s.count, 2u) << "re-entry soon";
    EXPECT_LE(s.count, reached);

    codel_signals(late, kRfc, 0, 2001 * kMs);
    const uint64_t long_after = 2001 * kMs + 17 * kRfc.interval_ns;
    signals(late, kRfc, 50 * kMs, long_after, long_after + 101 * kMs, kMs);
    ASSERT_TRUE(late.dropping);
    EXPECT_EQ(late.count, 1u) << "re-entry late";
}

TEST(Codel, ZeroIntervalSignalsFromTheSecondPacketOn) {
    const CodelParams p{kMs, 0};
    Codel s{};
    EXPECT_FALSE(codel_signals(s, p, 2 * kMs, 1));
    for (uint64_t t = 2; t < 50; t++)
        EXPECT_TRUE(codel_signals(s, p, 2 * kMs, t));
    EXPECT_FALSE(codel_signals(s, p, kMs, 50));
}

TEST(Codel, CountWrapsWithoutHarm) {
    Codel s{};
    signals(s, kRfc, 50 * kMs, 1, 200 * kMs, kMs);
    s.count = ~0u;
    EXPECT_TRUE(codel_signals(s, kRfc, 50 * kMs, s.next_ns));
    EXPECT_TRUE(s.dropping);
}

// The same arrivals at another time of day get the same verdicts, the wrap of the clock included. A time of
// exactly 0 stands for "below target" and can cost one interval at most, hence the offsets by one.
RC_GTEST_PROP(CodelProperty, OnlyDifferencesOfTimeCount, ()) {
    const auto delays =
        *rc::gen::container<std::vector<uint64_t>>(400, rc::gen::inRange<uint64_t>(0, 12 * kMs));
    const uint64_t gap = *rc::gen::inRange<uint64_t>(kMs / 10, 3 * kMs) | 1;
    const uint64_t before_wrap = *rc::gen::inRange<uint64_t>(1, 400 * gap);
    const CodelParams p{*rc::gen::inRange<uint64_t>(1, 6 * kMs),
                        2 * (*rc::gen::inRange<uint64_t>(1, 20 * kMs))};
    Codel plain{}, wrapping{};
    for (size_t i = 0; i < delays.size(); i++) {
        const uint64_t at = 1'000'000 * kMs + i * gap, wrapped = 0 - before_wrap + i * gap;
        if (wrapped + p.interval_ns == 0)
            RC_DISCARD("first_above_ns would be the reserved 0");
        RC_ASSERT(codel_signals(plain, p, delays[i], at) == codel_signals(wrapping, p, delays[i], wrapped));
    }
}

RC_GTEST_PROP(CodelProperty, NeverSignalsAtOrBelowTargetNorWithinTheFirstInterval, ()) {
    const auto delays =
        *rc::gen::container<std::vector<uint64_t>>(300, rc::gen::inRange<uint64_t>(0, 12 * kMs));
    Codel s{};
    uint64_t above_since = 0;
    for (size_t i = 0; i < delays.size(); i++) {
        const uint64_t now = 1 + i * kMs;
        const bool above = delays[i] > kRfc.target_ns;
        if (!above)
            above_since = 0;
        else if (!above_since)
            above_since = now;
        if (codel_signals(s, kRfc, delays[i], now)) {
            RC_ASSERT(above);
            RC_ASSERT(now - above_since >= kRfc.interval_ns);
        }
    }
}

} // namespace
} // namespace sluice
