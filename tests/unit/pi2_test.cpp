// PI2: the controller's direction and gains, saturation, time, and the two ways in which one probability
// signals.
#include <sluice/pi2.h>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <random>

namespace sluice {
namespace {

constexpr uint64_t kMs = 1'000'000;

sluice_pi2_params params() {
    // RFC 9332 appendix A.1 for RTT_max 100 ms: update 16 ms, alpha 0.16, beta 3.2 per second
    return {15 * kMs, 16 * kMs, static_cast<uint32_t>(0.16 * 65536), static_cast<uint32_t>(3.2 * 65536)};
}

double probability(const sluice_pi2 &s) {
    return s.probability / 4294967296.0;
}

TEST(Pi2, OneUpdateIsAlphaTimesErrorPlusBetaTimesChange) {
    const auto p = params();
    sluice_pi2 s{};
    s.updated_ns = 1000 * kMs;
    s.delay_ns = 20 * kMs;
    sluice_pi2_update(&s, &p, 25 * kMs, 1016 * kMs);
    EXPECT_NEAR(probability(s), 0.16 * 0.010 + 3.2 * 0.005, 1e-5);
    EXPECT_EQ(s.delay_ns, 25 * kMs);
    EXPECT_EQ(s.updated_ns, 1016 * kMs);
}

TEST(Pi2, NothingBetweenUpdatesNorWhenTimeRunsBack) {
    const auto p = params();
    for (int64_t after : {-5, 0, 15}) {
        sluice_pi2 s{};
        s.updated_ns = 1000 * kMs;
        sluice_pi2_update(&s, &p, 500 * kMs,
                          1000 * kMs + static_cast<uint64_t>(after * static_cast<int64_t>(kMs)));
        EXPECT_EQ(s.probability, 0u) << after;
    }
}

TEST(Pi2, FallsWhenTheDelayFallsAndStopsAtTheEnds) {
    const auto p = params();
    sluice_pi2 s{};
    uint64_t now = kMs;
    for (int i = 0; i < 1000; i++)
        sluice_pi2_update(&s, &p, 900 * kMs, now += 16 * kMs);
    EXPECT_EQ(s.probability, 0xffffffffu);
    sluice_pi2_update(&s, &p, 0, now += 16 * kMs);
    EXPECT_LT(probability(s), 0.1) << "beta: the delay fell by 0.9 s";
    for (int i = 0; i < 1000; i++)
        sluice_pi2_update(&s, &p, 0, now += 16 * kMs);
    EXPECT_EQ(s.probability, 0u);
}

TEST(Pi2, ALongPauseCountsSeveralUpdatesButNotForEver) {
    const auto p = params();
    const auto after = [&](uint64_t pause_ms) {
        sluice_pi2 s{};
        s.updated_ns = 1000 * kMs;
        s.delay_ns = 115 * kMs;
        sluice_pi2_update(&s, &p, 115 * kMs, (1000 + pause_ms) * kMs);
        return probability(s);
    };
    EXPECT_NEAR(after(33), 2 * after(16), 1e-5);
    EXPECT_NEAR(after(65), 4 * after(16), 1e-5);
    EXPECT_NEAR(after(1'000'000), SLUICE_PI2_MOST_UPDATES * after(16), 1e-5);
}

// The classic signal is the square of the base, the scalable one twice it (RFC 9332: p_C = p'^2, p_L = 2 p').
TEST(Pi2, ClassicIsTheSquareScalableTwice) {
    std::mt19937_64 random(7);
    for (double base : {0.0, 0.05, 0.2, 0.45, 0.8}) {
        sluice_pi2 s{};
        s.probability = static_cast<uint32_t>(base * 4294967295.0);
        int classic = 0, scalable = 0;
        constexpr int kDraws = 200'000;
        for (int i = 0; i < kDraws; i++) {
            classic += sluice_pi2_signal(&s, 0, random());
            scalable += sluice_pi2_signal(&s, 1, random());
        }
        EXPECT_NEAR(classic / double(kDraws), base * base, 0.004) << base;
        EXPECT_NEAR(scalable / double(kDraws), std::min(1.0, 2 * base), 0.004) << base;
    }
}

// Any history keeps the probability within its word and answers without a fault.
RC_GTEST_PROP(Pi2Property, NeverLeavesItsRange, ()) {
    auto p = params();
    p.alpha = *rc::gen::arbitrary<uint32_t>();
    p.beta = *rc::gen::arbitrary<uint32_t>();
    sluice_pi2 s{};
    uint64_t now = *rc::gen::arbitrary<uint64_t>();
    s.updated_ns = now;
    uint32_t last = 0;
    for (int i = 0; i < 50; i++) {
        const bool high = *rc::gen::arbitrary<bool>();
        const uint64_t delay = high ? p.target_ns + *rc::gen::inRange<uint64_t>(0, ~0ull >> 20) : 0;
        const uint64_t before = s.delay_ns;
        sluice_pi2_update(&s, &p, delay, now += 16 * kMs);
        if (delay >= p.target_ns && delay >= before)
            RC_ASSERT(s.probability >= last);
        if (delay <= p.target_ns && delay <= before)
            RC_ASSERT(s.probability <= last);
        last = s.probability;
    }
}

} // namespace
} // namespace sluice
