// Seeded random and mutated frames: no abort, no wrong checksum, and every frame in exactly one counted
// outcome.
#include "limits.hpp"
#include "world.hpp"

#include <numeric>
#include <random>

namespace sluice::progrun {
namespace {

FrameSpec any_spec(std::mt19937 &random) {
    auto upto = [&](uint32_t n) { return random() % n; };
    FrameSpec s;
    s.family = upto(12) ? (upto(2) ? 4 : 6) : 0;
    s.tags = upto(4) ? 0 : static_cast<int>(upto(3));
    s.pppoe = upto(4) == 0;
    constexpr Proto kProtos[] = {Proto::icmp, Proto::tcp, Proto::udp, Proto::icmp6, Proto::sctp, Proto::none};
    s.proto = kProtos[upto(6)];
    s.tos = static_cast<uint8_t>(random());
    s.ttl = upto(10) ? 64 : static_cast<uint8_t>(upto(3));
    s.sport = static_cast<uint16_t>(random());
    s.dport = static_cast<uint16_t>(random());
    s.payload = upto(20) ? upto(600) : upto(1800);
    s.options = upto(20) == 0;
    s.fragment = upto(10) == 0;
    s.first_fragment = upto(10) == 0;
    if (s.family == 6)
        for (uint32_t n = upto(4) ? 0 : upto(9); n > 0; n--)
            s.extensions.push_back(static_cast<uint8_t>(upto(3) == 0 ? 43 : upto(2) ? 60 : 51));
    return s;
}

void mutate(Frame &f, std::mt19937 &random) {
    for (uint32_t n = random() % 6; n > 0; n--)
        f[random() % std::min<size_t>(f.size(), 80)] = static_cast<uint8_t>(random());
    if (random() % 3 == 0)
        f.resize(std::max<size_t>(14, random() % f.size()));
}

class Fuzz : public testing::TestWithParam<bool> {};

TEST_P(Fuzz, EveryFrameEndsInOneOutcome) {
    constexpr uint32_t kFrames = 30'000;
    auto world = World::make({.policy = GetParam() ? kXconnect : kFib});
    ASSERT_TRUE(world);
    // A tight class, so that laws and limits are met on the way.
    world->klass().codel = {1'000'000, 10'000'000};
    world->share() = {.vt0 = 0,
                      .t0_ns = monotonic_now_ns(),
                      .bytes_per_ns = 1ull << 22,
                      .ns_per_byte = 1000ull << 20,
                      .target_bytes = 300,
                      .step_bytes = 100};
    set_limits(world->share(), 3000, 6000);
    std::mt19937 random(4711);
    uint64_t verdicts[5] = {}, bytes = 0;
    const Totals before = world->totals();
    for (uint32_t i = 0; i < kFrames; i++) {
        Frame f = build(any_spec(random));
        if (i % 2)
            mutate(f, random);
        const bool right = ipv4_checksum_right(f);
        const Reply run = world->run(f);
        ASSERT_LE(run.verdict, kRedirect);
        ASSERT_NE(run.verdict, kAborted) << "frame " << i;
        ASSERT_NE(run.verdict, kTx);
        verdicts[run.verdict]++;
        bytes += f.size();
        ASSERT_EQ(run.out.size(), f.size());
        if (run.verdict == kRedirect) {
            ASSERT_EQ(ipv4_checksum_right(run.out), right) << "frame " << i;
        } else {
            ASSERT_EQ(run.out, f) << "a frame that is not forwarded is not touched";
        }
    }
    const Totals after = world->totals();
    uint64_t sum = 0, pass = 0;
    for (uint32_t o = 0; o < SLUICE_OUTCOMES; o++) {
        sum += after.outcome[o] - before.outcome[o];
        pass += o >= SLUICE_CLASS_OUTCOMES ? after.outcome[o] - before.outcome[o] : 0;
    }
    EXPECT_EQ(after.received - before.received, kFrames);
    EXPECT_EQ(after.received_bytes - before.received_bytes, bytes);
    EXPECT_EQ(sum, kFrames) << "received = sum of all outcomes";
    EXPECT_EQ(pass, verdicts[kPass]);
    EXPECT_EQ(after.outcome[SLUICE_FORWARD] + after.outcome[SLUICE_MARK] - before.outcome[SLUICE_FORWARD] -
                  before.outcome[SLUICE_MARK],
              verdicts[kRedirect]);
    EXPECT_GT(verdicts[kRedirect], kFrames / 20);
    EXPECT_GT(verdicts[kPass], kFrames / 100);
}

INSTANTIATE_TEST_SUITE_P(Forward, Fuzz, testing::Bool(),
                         [](const auto &xconnect) { return xconnect.param ? "Xconnect" : "Fib"; });

} // namespace
} // namespace sluice::progrun
