// Two counters of the same frames, read while frames move: what is missing is found, what is on its way is
// not missing.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "control/ledger.hpp"

namespace sluice {
namespace {

TEST(Ledger, AQuietPortIsExact) {
    EXPECT_EQ((Comparison{100, 100, 100}.unexplained()), 0);
    EXPECT_EQ((Comparison{99, 100, 99}.unexplained()), 1);
    EXPECT_EQ((Comparison{101, 100, 101}.unexplained()), -1) << "frames that nobody announced";
    EXPECT_EQ((Comparison{101, 100, 101}.in_flight()), 0u);
}

TEST(Ledger, FramesThatMoveMeanwhileAreNotMissing) {
    EXPECT_EQ((Comparison{90, 100, 105}.unexplained()), 0);
    EXPECT_EQ((Comparison{90, 100, 105}.in_flight()), 15u);
    EXPECT_EQ((Comparison{90, 100, 97}.unexplained()), 3) << "more than any order of events explains";
    EXPECT_EQ((Comparison{102, 100, 110}.unexplained()), -2);
}

TEST(Ledger, AFrameThatIsBeingWorkedOnIsWaitedFor) {
    int looks = 0;
    const Comparison c = settled(95, 100, [&] { return ++looks < 3 ? 99 : 101; });
    EXPECT_EQ(c.after, 101u);
    EXPECT_EQ(looks, 3);
    EXPECT_EQ(c.unexplained(), 0);
}

TEST(Ledger, ALossIsNotWaitedForLong) {
    const Comparison c = settled(95, 100, [] { return 99; });
    EXPECT_EQ(c.unexplained(), 1);
}

// Frames pass the upper counter, then the lower one, but for those lost in between. Whoever was on the way
// when the upper one was read has passed the lower one before it is read for the last time.
RC_GTEST_PROP(Ledger, NeverAFalseAlarmAndNeverBlindForMoreThanMoved, ()) {
    const auto upto = [](uint64_t most) { return *rc::gen::inRange<uint64_t>(0, most + 1); };
    const uint64_t before = upto(1000), lost = upto(1000), moved_first = upto(1000), moved_then = upto(1000);
    const uint64_t on_the_way = upto(moved_then);
    const Comparison c{before, before + moved_first + lost + on_the_way, before + moved_first + moved_then};
    const auto seen = c.unexplained(), really = static_cast<int64_t>(lost);
    RC_ASSERT(seen >= 0);
    RC_ASSERT(seen <= really);
    RC_ASSERT(really <= seen + static_cast<int64_t>(c.in_flight()));
}

} // namespace
} // namespace sluice
