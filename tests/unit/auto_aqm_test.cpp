// `auto` AQM parameters: what the policy says is taken as it is; what it leaves open fits frame time and
// ring.
#include "control/auto_aqm.hpp"
#include "limits.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>

namespace sluice {
namespace {

TEST(AutoAqm, PolicyIsTakenAsItIs) {
    Aqm policy;
    policy.target_ns = 7'000'000;
    policy.interval_ns = 30'000'000;
    policy.limit_ns = 25'000'000;
    policy.l4s_step_ns = 800'000;
    const AqmNow now = aqm_for(policy, 0.0002, 0.2, 4);
    EXPECT_DOUBLE_EQ(now.target_s, 0.007);
    EXPECT_DOUBLE_EQ(now.interval_s, 0.030);
    EXPECT_DOUBLE_EQ(now.limit_s, 0.025);
    EXPECT_DOUBLE_EQ(now.step_s, 0.0008);
}

TEST(AutoAqm, AShortRingLowersTheTarget) {
    const AqmNow fast = aqm_for(Aqm{}, 1538 * 8 / 10e9, 0.0006, 4); // 512 descriptors at 10 Gbit/s
    EXPECT_LT(fast.limit_s, 0.0006) << "the ring must not overflow before the law acts";
    EXPECT_LT(fast.target_s, fast.limit_s);
}

TEST(AutoAqm, NeverBelowAFewFrames) {
    const double frame_s = 0.012; // 1 Mbit/s
    const AqmNow slow = aqm_for(Aqm{}, frame_s, 0, 4);
    EXPECT_GE(slow.target_s, frame_s);
    EXPECT_GT(slow.limit_s, slow.target_s);
}

RC_GTEST_PROP(AutoAqmProperty, OrderedAndPositive, ()) {
    const double frame_s = std::pow(10, *rc::gen::inRange(-8000, -1000) * 1e-3);
    const double ring_s = frame_s * *rc::gen::element(0, 64, 256, 1000, 4096);
    const AqmNow now = aqm_for(Aqm{}, frame_s, ring_s, *rc::gen::inRange<uint32_t>(0, 100));
    RC_ASSERT(now.target_s > 0);
    RC_ASSERT(now.interval_s > now.target_s);
    RC_ASSERT(now.step_s > 0);
    RC_ASSERT(now.target_s <= now.limit_s);
    RC_ASSERT(now.step_s <= now.limit_s);
    RC_ASSERT(longest_limit_s(now) >= now.limit_s);
    RC_ASSERT(now.target_s >= frame_s);
    RC_ASSERT(now.ect_limit_s >= now.limit_s);
    if (ring_s > 8 * frame_s)
        RC_ASSERT(now.ect_limit_s < ring_s);
    if (ring_s > 8 * frame_s)
        RC_ASSERT(now.limit_s < ring_s);
}

} // namespace
} // namespace sluice
