// When the neighbour hears of a pause, and for how long: the clock is stepped.
#include "control/pause.hpp"

#include <gtest/gtest.h>

namespace sluice {
namespace {

constexpr uint64_t kMs = 1'000'000;
constexpr Pause kPolicy{.above_ns = 2 * kMs, .below_ns = 1 * kMs};
constexpr PauseLink kGigabit{1'000'000'000};

struct PauseTest : testing::Test {
    PauseState state;
    uint64_t now = 1000 * kMs;

    std::optional<uint16_t> step(uint64_t delay_ns) {
        return pause_step(state, kPolicy, kGigabit, delay_ns, kMs / 2, now);
    }
};

TEST_F(PauseTest, SaysNothingUpToTheThreshold) {
    EXPECT_EQ(step(0), std::nullopt);
    EXPECT_EQ(step(2 * kMs), std::nullopt);
}

TEST_F(PauseTest, LastsUntilTheQueueHasDrained) {
    const auto quanta = step(6 * kMs);
    ASSERT_TRUE(quanta);
    EXPECT_NEAR(static_cast<double>(pause_ns(kGigabit, *quanta)), 5.0 * kMs, 512); // 5 ms are 9766 quanta
}

TEST_F(PauseTest, ResumesOnceBelowTheLowerThreshold) {
    step(3 * kMs);
    EXPECT_EQ(step(kMs), std::nullopt) << "hysteresis";
    EXPECT_EQ(step(kMs - 1), 0);
    EXPECT_EQ(step(kMs - 1), std::nullopt) << "once";
    EXPECT_EQ(step(kMs + kMs / 2), std::nullopt) << "hysteresis";
    EXPECT_TRUE(step(2 * kMs + 1));
}

TEST_F(PauseTest, IsRefreshedBeforeItEnds) {
    const uint64_t told_ns = pause_ns(kGigabit, *step(3 * kMs));
    const uint64_t begin = now;
    for (unsigned i = 0; i < 100; i++) {
        now += kMs / 2;
        if (step(2 * kMs))
            break;
    }
    EXPECT_LT(now - begin, told_ns) << "the neighbour had started again";
}

TEST_F(PauseTest, OutlastsTwoStepsHoweverShortTheQueueIs) {
    const auto quanta = step(2 * kMs + 1);
    ASSERT_TRUE(quanta);
    EXPECT_GE(pause_ns(kGigabit, *quanta), kMs);
}

TEST_F(PauseTest, NeverTellsMoreThanFits) {
    const auto quanta = pause_step(state, kPolicy, {100'000'000'000}, 900 * kMs, kMs, now);
    EXPECT_EQ(quanta, 65535);
}

} // namespace
} // namespace sluice
