// What a reload must not carry over: the debts of flows.
#include "limits.hpp"
#include "world.hpp"

namespace sluice::progrun {
namespace {

// Policies alternate between two sets of class rows, while buckets of flows stay what they are. A flow that
// sent under the policy before last finds its old bucket, whose virtual time may be hours ahead of that of
// the fresh class.
TEST(Reload, AFlowOwesNothingFromAnEarlierPolicy) {
    auto world = World::make({.policy = kXconnect});
    ASSERT_TRUE(world);
    const Frame frame = build({});
    const uint32_t bucket = world->bucket_of(frame);
    world->share().vt0 += 1'000'000'000; // served meanwhile
    EXPECT_EQ(world->run(frame).verdict, kRedirect);
    for (int i = 0; i < 2; i++) {
        ASSERT_TRUE(world->dataplane->apply(world->policy));
        world->maps().flow(bucket).listed = 0; // as the control loop does
    }
    set_limits(world->share(), 3000, 6000);
    EXPECT_EQ(world->run(frame).verdict, kRedirect);
    EXPECT_EQ(world->bucket_of(frame), bucket) << "the case this is about: the same bucket";
}

} // namespace
} // namespace sluice::progrun
