// Ring readers against rings whose content the test knows: a TAP that nobody reads until the test does.
// Occupancy, size and bytes are exact, the sojourn is the age of the head; both hooks.
#include "world.hpp"

#include "dataplane/transmit_probe.hpp"

#include <arpa/inet.h>
#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <sched.h>
#include <sys/socket.h>

#include <cmath>
#include <ctime>
#include <thread>

namespace sluice::progrun {
namespace {

constexpr uint32_t kRing = 256;

class Ring : public testing::TestWithParam<Hook> {
  protected:
    void SetUp() override {
        if (GetParam() == Hook::devmap && !devmap_hook_works())
            GTEST_SKIP() << "the devmap hook needs kernel 6.2";
    }
    void open(WorldOptions options) {
        options.silent_slow = true;
        if (options.policy.empty())
            options.policy = kFib;
        options.hook = GetParam();
        world = World::make(options);
        ASSERT_TRUE(world);
    }
    const sluice_ring &ring(uint32_t index = 0) { return world->maps().ring(kWan, index); }
    const sluice_reading &sample(uint32_t index = 0) {
        EXPECT_TRUE(world->dataplane->sample(kWan));
        return ring(index).tick;
    }
    uint64_t drops(sluice_kernel_drop reason) {
        uint64_t sum = 0;
        for (uint32_t cpu = 0; cpu < world->maps().cpus; cpu++)
            sum += world->maps().tx_of(kWan, cpu).drops[reason];
        return sum;
    }
    uint64_t sent() {
        uint64_t sum = 0;
        for (uint32_t cpu = 0; cpu < world->maps().cpus; cpu++)
            sum += world->maps().tx_of(kWan, cpu).sent_packets;
        return sum;
    }
    uint32_t drain(uint32_t frames, int queue = 0) {
        uint32_t n = 0;
        while (n < frames && world->read_tap(queue))
            n++;
        return n;
    }
    // Frames that the stack put there before the test (neighbour and multicast reports).
    void empty() {
        drain(1000);
        drain(1000, world->tap[1] ? 1 : 0);
    }
    static void pause_ms(long ms) {
        const timespec t{ms / 1000, ms % 1000 * 1'000'000};
        nanosleep(&t, nullptr);
    }
    // `frames` frames of the stack, past all qdiscs.
    void send_skbs(uint32_t frames) {
        const Fd s(socket(AF_PACKET, SOCK_RAW, 0));
        const int on = 1;
        setsockopt(s.get(), SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on));
        sockaddr_ll to{};
        to.sll_family = AF_PACKET;
        to.sll_ifindex = static_cast<int>(world->slow_ifindex);
        const Frame f = build({.dmac = kSinkMac, .smac = kSlowMac});
        for (uint32_t i = 0; i < frames; i++)
            ASSERT_EQ(sendto(s.get(), f.data(), f.size(), 0, reinterpret_cast<sockaddr *>(&to), sizeof(to)),
                      static_cast<ssize_t>(f.size()));
    }
    std::unique_ptr<World> world;
    const Frame frame = build({.payload = 400});
    const uint64_t wire = frame.size() + 24;
};

TEST_P(Ring, OccupancySizeAndBytesAreExact) {
    open({.txqueuelen = kRing});
    empty();
    world->run_live(frame, 100);
    EXPECT_EQ(sent(), 100u);
    const sluice_reading seen = sample();
    ASSERT_EQ(seen.valid, 1u);
    EXPECT_EQ(seen.size, kRing);
    EXPECT_EQ(seen.occupancy, 100u);
    EXPECT_EQ(seen.waiting_bytes, 100 * wire);
    EXPECT_EQ(seen.drained_bytes, 0u);
    EXPECT_EQ(ring().in_bytes, 100 * wire);
    if (GetParam() == Hook::tracepoint) {
        EXPECT_EQ(ring().hook.occupancy, 100u);
    }

    EXPECT_EQ(drain(40), 40u);
    const sluice_reading later = sample();
    EXPECT_EQ(later.occupancy, 60u);
    EXPECT_EQ(later.waiting_bytes, 60 * wire);
    EXPECT_EQ(later.drained_bytes, 40 * wire);

    EXPECT_EQ(drain(1000), 60u);
    const sluice_reading end = sample();
    EXPECT_EQ(end.occupancy, 0u);
    EXPECT_EQ(end.waiting_bytes, 0u);
    EXPECT_EQ(end.drained_bytes, 100 * wire);
    EXPECT_EQ(end.sojourn_ns, 0u);
}

TEST_P(Ring, SojournIsTheAgeOfTheHead) {
    open({.txqueuelen = kRing});
    empty();
    const uint64_t first = monotonic_now_ns();
    world->run_live(frame, 16);
    pause_ms(60);
    const uint64_t second = monotonic_now_ns();
    world->run_live(frame, 16);
    pause_ms(40);
    uint64_t now = monotonic_now_ns();
    EXPECT_NEAR(static_cast<double>(sample().sojourn_ns), static_cast<double>(now - first),
                0.1 * double(now - first));
    EXPECT_EQ(drain(16), 16u);
    now = monotonic_now_ns();
    EXPECT_NEAR(static_cast<double>(sample().sojourn_ns), static_cast<double>(now - second),
                0.1 * double(now - second));
}

TEST_P(Ring, FramesOfDifferentLength) {
    open({.txqueuelen = kRing});
    empty();
    uint64_t bytes = 0;
    for (uint32_t payload : {0u, 1000u, 300u, 1200u, 8u}) {
        const Frame f = build({.payload = payload});
        world->run_live(f, 1);
        bytes += std::max<uint64_t>(f.size() + 24, 84);
    }
    EXPECT_EQ(sample().waiting_bytes, bytes);
    drain(2);
    EXPECT_EQ(sample().waiting_bytes, bytes - 84 - (1000 + 42 + 24));
}

TEST_P(Ring, AFullRingIsCountedExactly) {
    open({.txqueuelen = 64});
    empty();
    world->run_live(frame, 200);
    // ptr_ring clears what was consumed in batches of 16: up to 15 slots may still look taken.
    EXPECT_LE(sent(), 64u);
    EXPECT_GT(sent(), 64u - 16);
    EXPECT_EQ(drops(SLUICE_KDROP_RING_FULL), 200 - sent());
    EXPECT_EQ(sample().occupancy, sent());
    EXPECT_EQ(sample().waiting_bytes, sent() * wire);
    EXPECT_EQ(drain(1000), sent());
    world->run_live(frame, 10);
    EXPECT_EQ(sample().waiting_bytes, 10 * wire) << "lost frames leave no trace";
    const Totals t = world->totals();
    EXPECT_EQ(t.outcome[SLUICE_FORWARD], sent() + drops(SLUICE_KDROP_RING_FULL)) << "zero unexplained";
}

TEST_P(Ring, PositionsStayRightOverManyWraps) {
    open({.txqueuelen = 80});
    empty();
    uint64_t in = 0, out = 0;
    for (int round = 0; round < 60; round++) {
        const uint32_t put = 7 + static_cast<uint32_t>(round * 5 % 23);
        world->run_live(frame, put);
        in += put;
        out += drain(round % 3 ? put : put - 3);
        const sluice_reading &seen = sample();
        ASSERT_EQ(seen.occupancy, in - out) << "round " << round;
        ASSERT_EQ(seen.waiting_bytes, (in - out) * wire) << "round " << round;
        ASSERT_EQ(seen.drained_bytes, out * wire) << "round " << round;
        if (in - out > 20)
            out += drain(1000);
    }
    EXPECT_EQ(ring().foreign, 0u);
}

TEST_P(Ring, SkbsOfTheStackAreForeign) {
    open({.txqueuelen = 50});
    empty();
    world->run_live(frame, 1); // joins the ring
    uint64_t ours = 1, foreign = 0;
    drain(1);
    const uint64_t before = ring().foreign;
    for (int round = 0; round < 40; round++) { // wraps many times
        world->run_live(frame, 5);
        send_skbs(3);
        world->run_live(frame, 4);
        ours += 9;
        foreign += 3;
        ASSERT_EQ(sample().occupancy, 12u) << "round " << round;
        ASSERT_EQ(sample().waiting_bytes, 9 * wire) << "round " << round;
        ASSERT_EQ(ring().foreign - before, foreign) << "round " << round;
        drain(6); // five of ours and one of the stack's
        ASSERT_EQ(sample().waiting_bytes, 4 * wire) << "round " << round;
        ASSERT_EQ(sample().drained_bytes, (ours - 4) * wire) << "round " << round;
        drain(6);
    }
}

// Both CPUs redirect into one queue at the same time: whatever they do to each other's stamps, no reading
// tells of more than what the ring can hold, and in the end all is exact.
TEST_P(Ring, SeveralCpusFeedOneRing) {
    if (libbpf_num_possible_cpus() < 2)
        GTEST_SKIP() << "needs two CPUs";
    open({.policy = kXconnect, .txqueuelen = 1000});
    empty();
    std::vector<std::jthread> feeders;
    for (int cpu = 0; cpu < 2; cpu++)
        feeders.emplace_back([&, cpu] {
            cpu_set_t set;
            CPU_ZERO(&set);
            CPU_SET(cpu, &set);
            sched_setaffinity(0, sizeof(set), &set);
            for (int i = 0; i < 20; i++)
                world->run_live(frame, 10'000, 10'000);
        });
    std::jthread reader([&](const std::stop_token &stop) {
        while (!stop.stop_requested())
            drain(50);
    });
    const uint64_t largest = world->maps().ports[kWan].mtu + 22 + 24;
    uint64_t looks = 0, waits = 0;
    for (const uint64_t end = monotonic_now_ns() + 300'000'000; monotonic_now_ns() < end; looks++) {
        const sluice_reading seen = sample();
        ASSERT_LE(seen.waiting_bytes, seen.occupancy * largest) << "after " << looks << " looks";
        waits += seen.occupancy > 0;
    }
    feeders.clear();
    reader = {};
    drain(2000);
    EXPECT_GT(waits, 10u);
    EXPECT_GT(sent(), 5'000u);
    EXPECT_EQ(sample().waiting_bytes, 0u);
    EXPECT_EQ(sample().drained_bytes, ring().in_bytes);
    EXPECT_EQ(ring().in_bytes, sent() * wire);
    world->run_live(frame, 100);
    EXPECT_EQ(sample().waiting_bytes, 100 * wire);
    EXPECT_LT(ring().foreign, sent() / 2) << "another CPU's frames are not a whole ring of the stack's";
}

TEST_P(Ring, OneQueueOfSeveral) {
    open({.txqueuelen = kRing, .tap_queues = 2});
    empty();
    world->run_live(frame, 30); // CPU 0: queue 0
    ASSERT_EQ(sample(0).valid, 1u);
    EXPECT_EQ(sample(0).occupancy, 30u);
    EXPECT_EQ(sample(0).size, kRing);
    EXPECT_EQ(ring(0).in_bytes, 30 * wire);
    EXPECT_EQ(ring(1).in_bytes, 0u);
    EXPECT_EQ(drain(1000, 0), 30u);
    EXPECT_EQ(drain(1000, 1), 0u);
    EXPECT_EQ(sample(0).drained_bytes, 30 * wire);
}

TEST_P(Ring, VethDrainsItself) {
    if (GetParam() == Hook::devmap)
        GTEST_SKIP() << "drained by NAPI at once: the same figures as with the tracepoint";
    open({.slow_kind = "veth"});
    world->run_live(frame, 50);
    EXPECT_EQ(world->dataplane->ports()[kWan].reader, SLUICE_READER_VETH);
    EXPECT_EQ(sent(), 50u);
    EXPECT_EQ(ring().hook.size, 256u);
    EXPECT_EQ(ring().in_bytes, 50 * wire);
    EXPECT_LE(ring().hook.occupancy, 50u);
    const sluice_reading &seen = sample();
    EXPECT_EQ(seen.valid, 1u);
    EXPECT_EQ(seen.occupancy, 0u);
    EXPECT_EQ(seen.drained_bytes, 50 * wire);
}

TEST_P(Ring, AReadingIsNotBelievedWhenTheDeviceIsGone) {
    open({.txqueuelen = kRing});
    empty();
    world->run_live(frame, 10);
    ASSERT_EQ(sample().valid, 1u);
    world->tap[0] = Fd();
    pause_ms(50);
    EXPECT_EQ(sample().valid, 0u);
}

TEST_P(Ring, ADeviceThatIsDownIsExplained) {
    open({.txqueuelen = kRing});
    empty();
    ASSERT_TRUE(shell("ip link set slow down"));
    shell("ip link set slow up carrier off 2>/dev/null; ip link set slow down");
    const Totals before = world->totals();
    world->run_live(frame, 20);
    const Totals after = world->totals();
    uint64_t lost = 0, outcomes = 0;
    for (uint32_t r = 0; r < SLUICE_KDROPS; r++)
        lost += drops(static_cast<sluice_kernel_drop>(r));
    for (uint32_t o = 0; o < SLUICE_OUTCOMES; o++)
        outcomes += after.outcome[o] - before.outcome[o];
    EXPECT_EQ(outcomes, after.received - before.received);
    EXPECT_EQ(after.outcome[SLUICE_FORWARD] - before.outcome[SLUICE_FORWARD], sent() + lost)
        << "zero unexplained";
}

// A device of a guest (tests/vm) that looks at its ring four seconds after the first frame, and then takes
// all: until then what was sent is what is in it.
class VirtioRing : public Ring {
  protected:
    static constexpr long kLooks = 9000; // ms; virtual time, nobody waits
    void SetUp() override {
        if (!std::getenv("SLUICE_VIRTIO_DEVICE"))
            GTEST_SKIP() << "needs a spare virtio_net device: runs in a guest, ctest -R vm";
        Ring::SetUp();
        if (IsSkipped())
            return;
        open({.slow_kind = "virtio", .slow_mtu = 1500});
        pause_ms(kLooks); // what the stack, or the test before, left in it is gone
    }
    // The ring that the device serves for CPU 0, and the bytes in it.
    void expect(uint64_t frames, uint64_t drained) {
        const sluice_reading &seen = sample();
        ASSERT_EQ(seen.valid, 1u);
        EXPECT_EQ(seen.size, 256u);
        EXPECT_EQ(seen.occupancy, frames);
        EXPECT_EQ(seen.waiting_bytes, frames * wire);
        EXPECT_EQ(seen.drained_bytes, drained * wire);
    }
};

TEST_P(VirtioRing, OccupancySizeAndBytesAreExact) {
    EXPECT_EQ(world->dataplane->ports()[kWan].reader, SLUICE_READER_VIRTIO);
    const uint64_t first = monotonic_now_ns();
    world->run_live(frame, 64);
    EXPECT_EQ(sent(), 64u);
    expect(64, 0);
    pause_ms(100);
    EXPECT_NEAR(static_cast<double>(sample().sojourn_ns), static_cast<double>(monotonic_now_ns() - first),
                50e6);
    expect(64, 0);
    uint64_t in = 64;
    for (uint32_t put : {50u, 64u, 1u, 33u, 64u, 40u}) { // around the ring
        pause_ms(kLooks);
        expect(0, in);
        EXPECT_EQ(sample().sojourn_ns, 0u);
        world->run_live(frame, put);
        expect(put, in);
        in += put;
    }
    EXPECT_EQ(sent(), in);
    EXPECT_EQ(ring().foreign, 0u);
}

// What sluiced does where the kernel does not say who takes redirected frames.
TEST(TransmitProbe, AFrameTellsWhoTakesFrames) {
    ASSERT_EQ(unshare(CLONE_NEWNET), 0);
    ASSERT_TRUE(shell("ip link add v type veth peer name peer; ip link set v up; ip link set peer up;"
                      "ethtool -K peer gro off; ip tuntap add tap mode tap; ip link set tap up"));
    const auto takes = [](const char *name) {
        const auto dev = find_netdev(name);
        EXPECT_TRUE(dev && *dev) << name;
        const auto taken = takes_redirected_frame(**dev);
        EXPECT_TRUE(taken) << name << ": " << to_string(taken.error());
        return taken && *taken;
    };
    EXPECT_FALSE(takes("v")) << "its peer has neither GRO nor an XDP program";
    EXPECT_FALSE(takes("tap")) << "nobody has opened it";
    EXPECT_FALSE(takes("lo")) << "its driver cannot";
    ASSERT_TRUE(shell("ethtool -K peer gro on"));
    EXPECT_TRUE(takes("v"));
    EXPECT_TRUE(takes("v")) << "and again";
    ASSERT_TRUE(shell("ethtool -K peer gro off"));
    EXPECT_FALSE(takes("v"));
}

INSTANTIATE_TEST_SUITE_P(Hooks, VirtioRing, testing::Values(Hook::tracepoint, Hook::devmap),
                         [](const auto &hook) {
                             return hook.param == Hook::tracepoint ? "Tracepoint" : "Devmap";
                         });

INSTANTIATE_TEST_SUITE_P(Hooks, Ring, testing::Values(Hook::tracepoint, Hook::devmap), [](const auto &hook) {
    return hook.param == Hook::tracepoint ? "Tracepoint" : "Devmap";
});

} // namespace
} // namespace sluice::progrun
