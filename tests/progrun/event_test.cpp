// The events that a verdict leaves behind: who, why, the ring, and the frame's bytes as they came; capped per
// jiffy.
#include <bpf/libbpf.h>

#include <chrono>
#include <cstring>
#include <thread>

#include "limits.hpp"
#include "world.hpp"

namespace sluice::progrun {
namespace {

class Events : public testing::Test {
  protected:
    static void SetUpTestSuite() { world = World::make({.policy = kFib}); }
    static void TearDownTestSuite() { world.reset(); }
    void SetUp() override {
        ASSERT_TRUE(world);
        world->reset();
        world->maps().control[0].sample_rate = 1'000;
        ring.reset(ring_buffer__new(world->dataplane->events_fd(), take, this, nullptr));
        ASSERT_TRUE(ring);
        read();
    }
    // The verdicts since the last call.
    std::vector<sluice_event> read() {
        taken.clear();
        ring_buffer__consume(ring.get());
        return taken;
    }
    // The next frames of this flow are far over the limit.
    void drown(const Frame &frame) {
        world->set_lag(world->flow_of(frame), 20'000);
        world->share().target_bytes = 5'000;
        set_limits(world->share(), 10'000, 10'000);
        read();
    }
    sluice_event drop(const Frame &frame) {
        drown(frame);
        EXPECT_EQ(world->run(frame).verdict, kDrop);
        const auto events = read();
        EXPECT_EQ(events.size(), 1u);
        return events.empty() ? sluice_event{} : events[0];
    }
    static int take(void *self, void *data, size_t size) {
        sluice_event e;
        EXPECT_EQ(size, sizeof(e));
        std::memcpy(&e, data, sizeof(e));
        if (e.kind == SLUICE_EVENT_VERDICT)
            static_cast<Events *>(self)->taken.push_back(e);
        return 0;
    }
    struct Free {
        void operator()(ring_buffer *r) const { ring_buffer__free(r); }
    };
    std::unique_ptr<ring_buffer, Free> ring;
    std::vector<sluice_event> taken;
    static std::unique_ptr<World> world;
};
std::unique_ptr<World> Events::world;

Frame captured(const sluice_event &e) {
    return {e.frame, e.frame + e.captured};
}

TEST_F(Events, AForwardedFrameLeavesNone) {
    EXPECT_EQ(world->run(build({})).verdict, kRedirect);
    EXPECT_EQ(read().size(), 0u);
}

TEST_F(Events, CarryTheFrameAsItCame) {
    for (int family : {4, 6})
        for (uint32_t payload : {0u, 40u, 86u, 87u, 1000u}) {
            SCOPED_TRACE(std::to_string(family) + " " + std::to_string(payload));
            world->reset();
            Frame frame = build({.family = family, .payload = payload});
            const sluice_event e = drop(frame);
            EXPECT_EQ(e.frame_length, frame.size());
            frame.resize(std::min<size_t>(frame.size(), SLUICE_EVENT_FRAME));
            EXPECT_EQ(captured(e), frame);
        }
}

TEST_F(Events, AMarkShowsTheFrameBeforeTheMark) {
    const Frame frame = build({.tos = 2});
    world->set_lag(world->flow_of(frame), 20'000);
    world->klass().mark = 1;
    world->klass().ect_limit_bytes = 30'000;
    world->share().target_bytes = 5'000;
    set_limits(world->share(), 10'000, 10'000);
    read();
    const Reply run = world->run(frame);
    EXPECT_EQ(run.verdict, kRedirect);
    EXPECT_NE(run.out, frame);
    const auto events = read();
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].outcome, SLUICE_MARK);
    EXPECT_EQ(events[0].ecn, 2);
    EXPECT_EQ(captured(events[0]), frame);
}

TEST_F(Events, TellFlowDelayAndRing) {
    const Frame frame = build({.tos = 0x28, .sport = 4000, .dport = 53});
    world->tx().empty_at_ns = monotonic_now_ns() + 50'000'000;
    sluice_ring &ring_state = world->maps().rings[kWan * world->maps().cpus + world->tx().ring];
    const sluice_reading before = ring_state.hook;
    ring_state.hook.size = 1000;
    ring_state.hook.occupancy = 321;
    ring_state.hook.sojourn_ns = 7'000'000;
    const sluice_event e = drop(frame);
    ring_state.hook = before;
    world->tx().empty_at_ns = 0;
    EXPECT_EQ(e.outcome, SLUICE_DROP_LIMIT);
    EXPECT_EQ(e.ingress_port, kLan);
    EXPECT_EQ(e.egress_port, kWan);
    EXPECT_EQ(e.sport, 4000);
    EXPECT_EQ(e.dport, 53);
    EXPECT_EQ(e.dscp, 10);
    EXPECT_EQ(e.delay_ns / 1'000'000, 20u);
    EXPECT_GT(e.ring_delay_ns, 0u);
    EXPECT_EQ(e.ring_size, 1000u);
    EXPECT_EQ(e.ring_occupancy, 321u);
    EXPECT_EQ(e.ring_sojourn_ns, 7'000'000u);
    world->reset();
    EXPECT_EQ(e.bucket, world->bucket_of(frame));
}

TEST_F(Events, AreCappedPerJiffyAndNeverDecide) {
    const Frame frame = build({});
    drown(frame);
    world->maps().control[0].sample_rate = 0;
    EXPECT_EQ(world->run(frame).verdict, kDrop);
    EXPECT_EQ(read().size(), 0u);
    world->maps().control[0].sample_rate = 1;
    std::this_thread::sleep_for(std::chrono::milliseconds(20)); // longer than any jiffy
    const uint64_t begin = monotonic_now_ns();
    constexpr int frames = 200;
    for (int i = 0; i < frames; i++)
        EXPECT_EQ(world->run(frame).verdict, kDrop);
    constexpr uint64_t shortest_jiffy_ns = 1'000'000; // CONFIG_HZ is 1000 at most
    const uint64_t jiffies = (monotonic_now_ns() - begin) / shortest_jiffy_ns + 2;
    const size_t events = read().size();
    EXPECT_GE(events, 1u);
    EXPECT_LE(events, std::min<uint64_t>(frames, jiffies));
}

} // namespace
} // namespace sluice::progrun
