// The whole scheduler on real programs: frames through BPF_PROG_TEST_RUN, the control loop ticking beside
// them, and who got how much. More is offered than the port's rate allows, so shares show. No ring is
// involved: the rate is the policy's.
#include "world.hpp"

#include "control/loop.hpp"
#include "core/clock.hpp"
#include "policy/load.hpp"

#include <thread>

namespace sluice::progrun {
namespace {

constexpr double kRate = 40e6 / 8; // of the policies here, bytes/s
constexpr uint32_t kFrame = 1000;

// One sender: a frame that differs from the others', how many times its share it sends, what became of it.
struct Sender {
    Frame frame;
    double bytes_per_s;
    double credit = 0;
    uint64_t admitted = 0, offered = 0;
};

class Contest {
  public:
    explicit Contest(const std::string &transition) {
        const std::string text = "transitions:\n  - {from: [lan], to: wan, " + transition + "}\n";
        world = World::make({.policy = text, .wan = "{device: slow, rate: 40mbit, overhead: none}"});
        if (!world)
            return;
        shell("for i in $(seq 2 40); do ip neigh replace 10.2.0.$i lladdr 02:00:00:00:02:02 dev slow nud "
              "permanent; "
              "done");
        loop = std::make_unique<Loop>(*world->dataplane, world->policy, wake);
        loop->tick(monotonic_ns());
    }

    Sender &add(const FrameSpec &spec, double times_rate) {
        FrameSpec sized = spec;
        sized.payload = kFrame - 42;
        senders.push_back({build(sized), times_rate * kRate});
        return senders.back();
    }

    // Everybody sends for so long; counts only the second part, when shares have settled. A machine that did
    // not let the loop tick in time has measured itself: again then.
    void run(double warm_up_s, double measured_s) {
        constexpr int kTries = 6;
        for (int i = 0; i < kTries; i++) {
            send(warm_up_s);
            for (Sender &s : senders)
                s.admitted = s.offered = 0;
            longest_gap_ns = 0;
            const uint64_t begin = monotonic_ns();
            send(measured_s);
            seconds = static_cast<double>(monotonic_ns() - begin) * 1e-9;
            if (longest_gap_ns < 12'000'000)
                return;
        }
    }

    // Bytes per second, as a share of the port's rate.
    double share(size_t first, size_t count) const {
        double bytes = 0;
        for (size_t i = first; i < first + count; i++)
            bytes += static_cast<double>(senders[i].admitted) * senders[i].frame.size();
        return bytes / seconds / kRate;
    }

    std::unique_ptr<World> world;
    std::vector<Sender> senders;
    std::unique_ptr<Loop> loop;

  private:
    void send(double run_s) {
        const uint64_t begin = monotonic_ns();
        uint64_t last = begin, ticked = begin;
        for (uint64_t now = begin; now - begin < run_s * 1e9; now = monotonic_ns()) {
            const double dt_s = static_cast<double>(now - last) * 1e-9;
            last = now;
            for (Sender &s : senders) {
                s.credit = std::min(s.credit + s.bytes_per_s * dt_s, s.bytes_per_s * 0.02 + kFrame);
                for (; s.credit >= kFrame; s.credit -= kFrame) {
                    s.offered++;
                    s.admitted += world->run(s.frame).verdict == kRedirect;
                }
            }
            if (const uint64_t at = monotonic_ns(); at - ticked >= 2'000'000) {
                longest_gap_ns = std::max(longest_gap_ns, at - ticked);
                loop->tick(ticked = at);
            }
        }
    }

    WakeSignal wake;
    double seconds = 0;
    uint64_t longest_gap_ns = 0; // between ticks
};

TEST(Scheduler, ARateIsHeldAndFlowsAreEqual) {
    Contest c("isolate: flow");
    ASSERT_TRUE(c.world);
    for (uint16_t i = 0; i < 4; i++)
        c.add({.sport = static_cast<uint16_t>(100 + i)}, i == 3 ? 2 : 0.5);
    c.run(0.5, 1);
    EXPECT_NEAR(c.share(0, 4), 1, 0.05);
    for (size_t i = 0; i < 4; i++)
        EXPECT_NEAR(c.share(i, 1), 0.25, 0.03) << "flow " << i;
}

TEST(Scheduler, DualIsolationIsFairToHostsFirst) {
    Contest c("isolate: dual-dsthost");
    ASSERT_TRUE(c.world);
    c.add({.dst = "10.2.0.2"}, 1.5);
    for (uint16_t i = 0; i < 6; i++)
        c.add({.sport = static_cast<uint16_t>(100 + i), .dst = "10.2.0.3"}, 0.5);
    c.run(0.5, 1);
    EXPECT_NEAR(c.share(0, 1), 0.5, 0.06) << "one flow of one host";
    EXPECT_NEAR(c.share(1, 6), 0.5, 0.06) << "six flows of another";
    for (size_t i = 1; i < 7; i++)
        EXPECT_NEAR(c.share(i, 1), 0.5 / 6, 0.03) << "flow " << i;
}

TEST(Scheduler, TripleIsolationCountsTheSideWithMoreFlows) {
    Contest c("isolate: triple-isolate");
    ASSERT_TRUE(c.world);
    c.add({.src = "10.1.0.9", .dst = "10.2.0.2"}, 1.5);
    for (uint16_t i = 0; i < 6; i++) // one source, six destinations
        c.add({.src = "10.1.0.8", .dst = "10.2.0." + std::to_string(10 + i)}, 0.5);
    c.run(0.5, 1);
    EXPECT_NEAR(c.share(0, 1), 0.5, 0.07);
    EXPECT_NEAR(c.share(1, 6), 0.5, 0.07);
}

TEST(Scheduler, TenantsGetTheirWeightsAndCeilingsAndTheirClassesPriority) {
    Contest c("classes: [{name: voice, match: [{dscp: ef}], priority: 0, ceil: 50%}, {name: default}], "
              "tenants: {by: dst, list: ["
              "{name: a, match: 10.2.0.2, weight: 3}, {name: b, match: 10.2.0.3}, "
              "{name: capped, match: 10.2.0.4/30, ceil: 4mbit}]}");
    ASSERT_TRUE(c.world);
    c.add({.dst = "10.2.0.2"}, 1.5);
    c.add({.dst = "10.2.0.3"}, 1.5);
    c.add({.dst = "10.2.0.5"}, 1.5);
    c.add({.tos = 46 << 2, .dst = "10.2.0.3"}, 1.5);
    c.run(0.5, 1);
    EXPECT_NEAR(c.share(2, 1), 0.1, 0.02) << "the ceiling";
    EXPECT_NEAR(c.share(0, 1), 0.675, 0.05) << "three quarters of the rest";
    EXPECT_NEAR(c.share(1, 1) + c.share(3, 1), 0.225, 0.06);
    EXPECT_GT(c.share(3, 1), 0.8 * 0.225) << "voice comes first within the tenant";
}

TEST(Scheduler, NestedClassesShareTheirGroupsRate) {
    Contest c("classes: [{name: media, weight: 1, classes: ["
              "{name: video, match: [{dscp: af41}], weight: 3}, {name: audio, match: [{dscp: ef}]}]}, "
              "{name: default, weight: 1}]");
    ASSERT_TRUE(c.world);
    c.add({.tos = 34 << 2}, 1);
    c.add({.tos = 46 << 2}, 1);
    c.add({}, 1);
    c.run(0.5, 1);
    EXPECT_NEAR(c.share(0, 1), 0.375, 0.05);
    EXPECT_NEAR(c.share(1, 1), 0.125, 0.03);
    EXPECT_NEAR(c.share(2, 1), 0.5, 0.05);
}

// A flood of packets that are each a flow of their own, many more than there are buckets.
TEST(Scheduler, ASpoofedFloodDoesNotTakeTheShareOfAFlow) {
    Contest c("classes: [{name: paid, match: [{dscp: ef}], min: 40%}, {name: default}]");
    ASSERT_TRUE(c.world);
    c.add({.tos = 46 << 2}, 1);
    Sender &flood = c.add({}, 0);
    (void)flood;
    std::vector<Frame> spoofed;
    for (uint32_t i = 0; i < 60'000; i++)
        spoofed.push_back(build({.sport = static_cast<uint16_t>(i),
                                 .dport = static_cast<uint16_t>(i >> 12),
                                 .payload = 22,
                                 .src = "10.1." + std::to_string(i % 200) + ".7"}));
    std::jthread sender([&](const std::stop_token &stop) {
        for (size_t i = 0; !stop.stop_requested(); i = (i + 1) % spoofed.size())
            c.world->run(spoofed[i]);
    });
    c.run(0.5, 1);
    sender = {};
    EXPECT_GE(c.share(0, 1), 0.4 * 0.95);
}

} // namespace
} // namespace sluice::progrun
