// The law as the BPF program applies it, on flow state that the test sets: the boundaries, ECN, L4S, the
// guard, shadow mode; and the same state through the host's build of the same text.
#include "world.hpp"

#include <bpf/bpf.h>
#include <sys/mman.h>

#include <cstring>
#include <random>

#include "host_admit/host_admit.h"
#include "limits.hpp"

namespace sluice::progrun {
namespace {

constexpr uint64_t kMs = 1'000'000;

class Law : public testing::Test {
  protected:
    static void SetUpTestSuite() { world = World::make({.policy = kFib}); }
    static void TearDownTestSuite() { world.reset(); }
    void SetUp() override {
        ASSERT_TRUE(world);
        world->reset();
        shadow(0);
        world->klass().codel = {5 * kMs, 100 * kMs};
        world->klass().mark = 1;
    }
    static void shadow(uint32_t on) {
        world->maps().transitions[world->dataplane->generation() * SLUICE_MAX_TRANSITIONS].shadow = on;
    }
    static Frame frame(uint8_t ecn) { return build({.tos = ecn}); }

    // A flow with `lag` bytes (1 us each) whose CoDel state says: signal now.
    static sluice_flow &late_flow(const Frame &f, uint64_t lag) {
        sluice_flow &flow = world->flow_of(f);
        world->set_lag(flow, lag);
        world->share().target_bytes = 5'000;
        world->share().step_bytes = 1'000;
        set_limits(world->share(), 40'000, 80'000);
        flow.codel = {};
        // frames of one jiffy may share an older clock
        flow.codel.first_above_ns = flow.codel.next_ns = monotonic_now_ns() - 20 * kMs;
        flow.codel.count = flow.codel.dropping = 1;
        return flow;
    }
    // The one outcome that this frame had.
    static uint32_t outcome_of(const Frame &f) {
        const Totals before = world->totals();
        world->run(f);
        const Totals after = world->totals();
        for (uint32_t o = 0; o < SLUICE_OUTCOMES; o++)
            if (after.outcome[o] != before.outcome[o])
                return o;
        return SLUICE_OUTCOMES;
    }
    static std::unique_ptr<World> world;
};
std::unique_ptr<World> Law::world;

TEST_F(Law, SignalMarksWhoCanBeMarked) {
    for (uint8_t ecn = 0; ecn < 4; ecn++) {
        world->reset();
        late_flow(frame(ecn), 20'000);
        EXPECT_EQ(outcome_of(frame(ecn)), ecn ? SLUICE_MARK : SLUICE_DROP_CODEL) << "ECN " << int(ecn);
    }
}

TEST_F(Law, TheGuardSignalsWithCe) {
    for (uint8_t ecn = 0; ecn < 4; ecn++) {
        world->reset();
        world->maps().ports[kWan].guard_limit_ns = 100 * kMs;
        late_flow(frame(ecn), 3'000).codel = {};
        world->tx().empty_at_ns = monotonic_now_ns() + 50 * kMs;
        world->tx().signals = 1;
        EXPECT_EQ(outcome_of(frame(ecn)), ecn ? SLUICE_MARK : SLUICE_DROP_RING) << "ECN " << int(ecn);
    }
}

TEST_F(Law, AClassWithoutMarkDrops) {
    world->klass().mark = 0;
    late_flow(frame(2), 20'000);
    EXPECT_EQ(outcome_of(frame(2)), SLUICE_DROP_CODEL);
    world->reset();
    late_flow(frame(1), 4'000);
    EXPECT_EQ(outcome_of(frame(1)), SLUICE_FORWARD) << "ECT(1) as well";
}

TEST_F(Law, MarkKeepsACeMark) {
    late_flow(frame(3), 20'000);
    Frame f = frame(3);
    const Reply run = world->run(f);
    route_hop(f, kSinkMac, kSlowMac);
    EXPECT_EQ(run.verdict, kRedirect);
    EXPECT_EQ(run.out, f);
}

TEST_F(Law, TargetItselfIsForwarded) {
    late_flow(frame(0), 5'000);
    EXPECT_EQ(outcome_of(frame(0)), SLUICE_FORWARD);
    late_flow(frame(0), 5'001);
    EXPECT_EQ(outcome_of(frame(0)), SLUICE_DROP_CODEL);
}

TEST_F(Law, L4sStep) {
    late_flow(frame(1), 1'000);
    EXPECT_EQ(outcome_of(frame(1)), SLUICE_FORWARD);
    late_flow(frame(1), 1'001);
    EXPECT_EQ(outcome_of(frame(1)), SLUICE_MARK);
    world->reset();
    late_flow(frame(2), 1'001);
    EXPECT_EQ(outcome_of(frame(2)), SLUICE_FORWARD) << "ECT(0) knows no step";
}

TEST_F(Law, TheLimitMarksWhatCanBeMarkedAndItsOwnLimitDropsIt) {
    for (uint8_t ecn = 0; ecn < 4; ecn++) {
        world->reset();
        world->klass().ect_limit_bytes = 160'000;
        late_flow(frame(ecn), 80'001);
        EXPECT_EQ(outcome_of(frame(ecn)), ecn ? SLUICE_MARK : SLUICE_DROP_LIMIT);
        world->reset();
        late_flow(frame(ecn), 160'001);
        EXPECT_EQ(outcome_of(frame(ecn)), SLUICE_DROP_LIMIT);
    }
}

TEST_F(Law, AFlowsFirstBytesMayTakeMoreThanTheLimitWhereThereIsRoom) {
    constexpr uint64_t kYouth = 80'000 * SLUICE_YOUNG_LIMITS;
    for (uint64_t room : {150'000u, 500'000u}) {
        const uint64_t most = std::min<uint64_t>(room, 80'000 * SLUICE_YOUNG_ROOM);
        world->reset();
        world->klass().ect_limit_bytes = room;
        sluice_flow &flow = late_flow(frame(0), most);
        flow.bytes = kYouth - 1;
        EXPECT_NE(outcome_of(frame(0)), SLUICE_DROP_LIMIT);
        world->set_lag(flow, most + 1);
        flow.bytes = kYouth - 1;
        EXPECT_EQ(outcome_of(frame(0)), SLUICE_DROP_LIMIT);
        world->set_lag(flow, most);
        flow.bytes = kYouth;
        EXPECT_EQ(outcome_of(frame(0)), SLUICE_DROP_LIMIT) << "it is old enough to know";
    }
}

TEST_F(Law, AmongManyFlowsThereIsNoYouth) {
    sluice_flow &flow = late_flow(frame(0), SLUICE_YOUNG_LEAST);
    world->klass().ect_limit_bytes = 500'000;
    set_limits(world->share(), SLUICE_YOUNG_LEAST - 1, SLUICE_YOUNG_LEAST - 1);
    flow.bytes = 0;
    EXPECT_EQ(outcome_of(frame(0)), SLUICE_DROP_LIMIT);
}

TEST_F(Law, ARefusedFrameIsNotCharged) {
    sluice_flow &flow = late_flow(frame(0), 80'001);
    const sluice_flow before = flow;
    EXPECT_EQ(outcome_of(frame(0)), SLUICE_DROP_LIMIT);
    EXPECT_EQ(flow.finish, before.finish);
    EXPECT_EQ(flow.bytes, before.bytes);
    EXPECT_EQ(flow.refused, before.refused + 1);
}

TEST_F(Law, AnAdmittedFrameIsChargedWireBytes) {
    const Frame f = frame(0);
    sluice_flow &flow = world->flow_of(f);
    world->set_lag(flow, 700);
    EXPECT_EQ(outcome_of(f), SLUICE_FORWARD);
    EXPECT_EQ(flow.finish, world->share().vt0 + 700 + f.size() + 24);
    flow.finish = world->share().vt0 - 5'000; // idle: unused service is not saved up
    EXPECT_EQ(outcome_of(f), SLUICE_FORWARD);
    EXPECT_EQ(flow.finish, world->share().vt0 + f.size() + 24);
}

TEST_F(Law, GuardSignalsAreForBackloggedFlowsFirst) {
    sluice_flow &flow = world->flow_of(frame(0));
    world->set_lag(flow, 3'000);
    world->tx().signals = 1;
    world->tx().empty_at_ns = monotonic_now_ns() + 10 * kMs; // something still waits in the ring
    EXPECT_EQ(outcome_of(frame(0)), SLUICE_DROP_RING);
    EXPECT_EQ(world->tx().signals, 0u);
    world->set_lag(flow, 0);
    world->tx().signals = 1;
    EXPECT_EQ(outcome_of(frame(0)), SLUICE_FORWARD) << "an idle flow is spared";
}

TEST_F(Law, SignalsOfARingThatHasDrainedAreForgotten) {
    world->set_lag(world->flow_of(frame(0)), 3'000);
    world->tx().signals = 60;
    world->tx().empty_at_ns = monotonic_now_ns() - 20 * kMs; // frames of one jiffy may share an older clock
    EXPECT_EQ(outcome_of(frame(0)), SLUICE_FORWARD);
    EXPECT_EQ(world->tx().signals, 0u);
}

TEST_F(Law, ARingTooFarBehindTakesNobody) {
    world->tx().empty_at_ns = monotonic_now_ns() + 10'000 * kMs;
    EXPECT_EQ(outcome_of(frame(2)), SLUICE_DROP_RING);
    world->tx().empty_at_ns = monotonic_now_ns() - 20 * kMs; // frames of one jiffy may share an older clock
    EXPECT_EQ(outcome_of(frame(2)), SLUICE_FORWARD) << "an old reading counts as empty";
}

TEST_F(Law, ACrowdedClassTakesNoFlowThatIsNotWaiting) {
    const Frame known = build({.dport = 1}), stranger = build({.dport = 2});
    sluice_flow &flow = world->flow_of(known);
    flow.listed = 1;
    world->klass().crowded = 1;
    world->maps().control[0].heartbeat_ns = monotonic_now_ns();
    EXPECT_EQ(world->run(known).verdict, kRedirect);
    EXPECT_EQ(world->run(stranger).verdict, kDrop);
    flow.listed = 0;
    EXPECT_EQ(world->run(known).verdict, kDrop);
    world->maps().control[0].heartbeat_ns = monotonic_now_ns() - 1'000'000'000;
    EXPECT_EQ(world->run(stranger).verdict, kRedirect) << "nobody is there to take the flag back";
    world->klass().crowded = 0;
}

TEST_F(Law, ShadowForwardsAllAndCountsWhatItWouldHaveDone) {
    struct Case {
        uint8_t ecn;
        uint64_t lag;
        sluice_would would;
    };
    for (const Case &c : {Case{2, 20'000, SLUICE_WOULD_MARK}, Case{0, 20'000, SLUICE_WOULD_CODEL},
                          Case{0, 90'000, SLUICE_WOULD_LIMIT}}) {
        shadow(0);
        world->reset();
        late_flow(frame(c.ecn), c.lag);
        shadow(1);
        world->tx().empty_at_ns = monotonic_now_ns() + 10'000 * kMs; // the guard has no say in shadow mode
        const Totals before = world->totals();
        Frame f = frame(c.ecn);
        const Reply run = world->run(f);
        const Totals after = world->totals();
        route_hop(f, kSinkMac, kSlowMac);
        EXPECT_EQ(run.verdict, kRedirect);
        EXPECT_EQ(run.out, f) << "no CE in shadow mode";
        for (uint32_t w = 0; w < SLUICE_WOULDS; w++)
            EXPECT_EQ(after.would[w] - before.would[w], w == c.would ? 1u : 0u) << "would " << w;
        EXPECT_EQ(after.outcome[SLUICE_FORWARD] - before.outcome[SLUICE_FORWARD], 1u);
    }
}

TEST_F(Law, AControllerThatSleepsIsNotLost) {
    auto &transition = world->maps().transitions[world->dataplane->generation() * SLUICE_MAX_TRANSITIONS];
    transition.bypass_on_loss = 1;
    world->maps().control[0].heartbeat_ns = monotonic_now_ns() - SLUICE_LOSS_NS + 1000 * kMs;
    EXPECT_EQ(outcome_of(frame(0)), SLUICE_FORWARD);
    world->maps().control[0].heartbeat_ns = monotonic_now_ns() - SLUICE_LOSS_NS - 1000 * kMs;
    EXPECT_EQ(outcome_of(frame(0)), SLUICE_PASS_BYPASS);
    world->maps().control[0].heartbeat_ns = monotonic_now_ns();
    EXPECT_EQ(outcome_of(frame(0)), SLUICE_FORWARD) << "back again";
    transition.bypass_on_loss = 0;
}

TEST_F(Law, TheFirstFrameWakesTheController) {
    world->maps().control[0].wake = 1;
    EXPECT_EQ(outcome_of(frame(0)), SLUICE_FORWARD);
    EXPECT_EQ(world->maps().control[0].wake, 0u);
}

// Same state, same packet, same time: the program in the kernel and the host's build decide alike and leave
// the same state behind. The clock that the program used is read back from its map.
TEST_F(Law, KernelAndHostAgree) {
    std::mt19937_64 random(20241122);
    auto upto = [&](uint64_t n) { return random() % n; };
    const Fd clocks_fd(world->map_fd("sl_clocks"));
    void *memory = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, clocks_fd.get(), 0);
    ASSERT_NE(memory, MAP_FAILED);
    auto &clock = static_cast<sluice_clock *>(memory)[0];
    auto host = std::make_unique<host_maps>();
    const uint32_t class_id = world->dataplane->class_base();
    uint32_t bucket[4];
    for (uint8_t ecn = 0; ecn < 4; ecn++)
        bucket[ecn] = world->bucket_of(frame(ecn));
    uint64_t seen[SLUICE_CLASS_OUTCOMES] = {};
    for (int i = 0; i < 6000; i++) {
        const auto ecn = static_cast<uint8_t>(upto(4));
        const Frame f = frame(ecn);
        sluice_flow &flow = world->maps().flow(bucket[ecn]);
        sluice_share &share = world->share();
        const uint64_t now = monotonic_now_ns();
        share.vt0 = upto(2) ? random() : upto(100'000);
        share.t0_ns = now - 40 * kMs + upto(41 * kMs);
        share.bytes_per_ns = upto(3) ? 0 : upto(1ull << 33);
        share.ns_per_byte = upto(2000ull << 20);
        share.target_bytes = upto(20'000);
        share.step_bytes = upto(10'000);
        set_limits(share, share.target_bytes + upto(60'000), share.target_bytes + upto(120'000));
        set_pressure(flow, static_cast<unsigned>(upto(256)));
        world->klass().codel = {upto(20 * kMs), upto(200 * kMs)};
        world->klass().mark = upto(4) != 0;
        world->klass().ect_limit_bytes = upto(3) ? upto(200'000) : 0;
        flow.finish = share.vt0 + upto(300'000) - 20'000;
        flow.codel.first_above_ns = upto(3) ? now - 100 * kMs + upto(200 * kMs) : 0;
        flow.codel.next_ns = now - 100 * kMs + upto(200 * kMs);
        flow.codel.count = static_cast<uint32_t>(upto(200));
        flow.codel.last_count = static_cast<uint32_t>(upto(flow.codel.count + 1));
        flow.codel.dropping = static_cast<uint32_t>(upto(2));
        flow.refused = static_cast<uint32_t>(upto(2));
        flow.bytes = upto(1'000'000);
        world->tx().signals = upto(5) ? 0 : static_cast<uint32_t>(upto(3));
        world->tx().empty_at_ns = now + upto(110 * kMs);
        world->maps().ports[kWan].guard_limit_ns = 100 * kMs;
        clock.left = 0;

        host->ports[kWan] = world->maps().ports[kWan];
        host->classes[class_id] = world->klass();
        host->tx[kWan] = world->tx();
        host->flows[bucket[ecn] / SLUICE_FLOW_WAYS] = world->maps().flows[bucket[ecn] / SLUICE_FLOW_WAYS];
        host_request q{};
        q.port = kWan;
        q.class_id = class_id;
        q.hash = flow.tag;
        q.wire = static_cast<uint32_t>(f.size()) + 24;
        q.ect = ecn != 0;
        q.l4s = ecn == 1;

        const uint32_t kernel = outcome_of(f);
        host_answer a{};
        ASSERT_EQ(host_admit(host.get(), &q, clock.now_ns, &a), 0);
        ASSERT_EQ(a.outcome, kernel) << "round " << i;
        ASSERT_EQ(a.bucket, bucket[ecn]);
        ASSERT_EQ(
            std::memcmp(&host->flows[bucket[ecn] / SLUICE_FLOW_WAYS].way[bucket[ecn] % SLUICE_FLOW_WAYS],
                        &flow, sizeof(flow)),
            0)
            << "round " << i;
        ASSERT_EQ(host->tx[kWan].signals, world->tx().signals);
        seen[kernel]++;
    }
    munmap(memory, 4096);
    for (uint32_t o = 0; o < SLUICE_SPILL; o++) // the ways out are no matter of the law
        EXPECT_GE(seen[o], 20u) << "outcome " << o << " is hardly reached by these tuples";
}

} // namespace
} // namespace sluice::progrun
