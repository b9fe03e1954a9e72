// Seeded random and mutated frames: no abort, no wrong checksum, and every frame in exactly one counted
// outcome.
#include "limits.hpp"
#include "ways.hpp"
#include "world.hpp"

#include <algorithm>
#include <iterator>
#include <random>
#include <tuple>

namespace sluice::progrun {
namespace {

uint32_t upto(std::mt19937 &random, uint32_t n) {
    return random() % n;
}

FrameSpec any_spec(std::mt19937 &random) {
    auto upto = [&](uint32_t n) { return progrun::upto(random, n); };
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

void insert(Frame &f, size_t at, std::initializer_list<uint8_t> bytes) {
    f.insert(f.begin() + static_cast<ptrdiff_t>(at), bytes);
}

void overwrite(Frame &f, std::mt19937 &random) {
    for (uint32_t n = 1 + upto(random, 5); n > 0; n--)
        f[random() % std::min<size_t>(f.size(), 80)] = static_cast<uint8_t>(random());
}

// Ends the frame at, just before or just behind where a header ends.
void cut(Frame &f, std::mt19937 &random) {
    constexpr uint32_t kEnds[] = {0, 4, 8, 20, 24, 28, 40, 44, 48, 56};
    const size_t size = l3_offset(f) + kEnds[upto(random, std::size(kEnds))] + upto(random, 3) - 1;
    f.resize(std::clamp<size_t>(size, 14, f.size()));
}

// The length fields of IP say something else; the IPv4 checksum is right for it every other time.
void lie(Frame &f, std::mt19937 &random) {
    const size_t at = l3_offset(f);
    if (f.size() < at + 40)
        return;
    const uint32_t length = upto(random, 2) ? random() : upto(random, 64);
    const bool four = f[at] >> 4 == 4;
    const size_t field = at + (four ? 2 : 4);
    if (four && upto(random, 2))
        f[at] = static_cast<uint8_t>(0x40 | upto(random, 16));
    else
        std::tie(f[field], f[field + 1]) =
            std::pair(static_cast<uint8_t>(length >> 8), static_cast<uint8_t>(length));
    if (four && (f[at] & 15) >= 5 && f.size() >= at + (f[at] & 15) * 4u && upto(random, 2))
        fix_ipv4_checksum(f, at);
}

// Extension headers of any kind, order, number and length.
void chain(Frame &f, std::mt19937 &random) {
    const size_t at = l3_offset(f);
    if (f.size() < at + 40 || f[at] >> 4 != 6)
        return;
    constexpr uint8_t kKinds[] = {0, 43, 44, 51, 60, 135, 139, 17, 6, 59};
    for (uint32_t n = 1 + upto(random, 12); n > 0; n--) {
        const auto length = static_cast<uint8_t>(upto(random, 3) ? upto(random, 4) : random());
        insert(f, at + 40, {f[at + 6], length, 0, static_cast<uint8_t>(upto(random, 2)), 0, 0, 0, 1});
        f[at + 6] = kKinds[upto(random, std::size(kKinds))];
        for (uint32_t i = 0; i < length && i < 4; i++)
            insert(f, at + 48, {0, 0, 0, 0, 0, 0, 0, 0});
    }
    const size_t payload = f.size() - at - 40;
    f[at + 4] = static_cast<uint8_t>(payload >> 8);
    f[at + 5] = static_cast<uint8_t>(payload);
}

void nest(Frame &f, std::mt19937 &random) {
    for (uint32_t n = 1 + upto(random, 4); n > 0; n--)
        if (upto(random, 2))
            insert(f, 12, {0x81, 0x00, static_cast<uint8_t>(random()), static_cast<uint8_t>(random())});
        else
            insert(f, 12, {0x88, 0xa8, static_cast<uint8_t>(random()), static_cast<uint8_t>(random())});
}

// A PPPoE session packet (RFC 2516) around the IP header, whose fields tell the truth or not.
void wrap_in_pppoe(Frame &f, std::mt19937 &random) {
    const size_t at = l3_offset(f);
    if (f.size() <= at)
        return;
    const size_t length = upto(random, 3) ? f.size() - at + 2 : random() % 2000;
    const uint8_t version = upto(random, 8) ? 0x11 : static_cast<uint8_t>(random());
    const uint8_t code = upto(random, 8) ? 0 : static_cast<uint8_t>(random());
    const uint8_t protocol = upto(random, 8) ? f[at] >> 4 == 4 ? 0x21 : 0x57 : static_cast<uint8_t>(random());
    f[at - 2] = 0x88;
    f[at - 1] = 0x64;
    insert(
        f, at,
        {version, code, 0, 7, static_cast<uint8_t>(length >> 8), static_cast<uint8_t>(length), 0, protocol});
}

void mutate(Frame &f, std::mt19937 &random) {
    constexpr void (*kKinds[])(Frame &, std::mt19937 &) = {overwrite, cut, lie, chain, nest, wrap_in_pppoe};
    for (uint32_t n = 1 + upto(random, 2); n > 0; n--)
        kKinds[upto(random, std::size(kKinds))](f, random);
    if (upto(random, 6) == 0)
        f.resize(std::max<size_t>(14, random() % f.size()));
}

Frame any_frame(std::mt19937 &random, bool mutated) {
    Frame f = build(any_spec(random));
    if (mutated)
        mutate(f, random);
    return f;
}

struct Case {
    const char *name, *policy;
};

const Case kCases[] = {
    {"Fib", kFib},
    {"Xconnect", kXconnect},
    {"FibShadow", R"(
transitions:
  - {from: [lan], to: wan, forward: fib, mode: shadow}
)"},
    {"FibPi2Triple", R"(
transitions:
  - {from: [lan], to: wan, forward: fib, isolate: triple-isolate, aqm: {law: pi2}}
)"},
    {"FibClassesRemark", R"(
transitions:
  - from: [lan]
    to: wan
    forward: fib
    classes:
      - {name: low, match: [{dscp: [cs1, ef]}, {proto: udp, dport: 0-9999}], remark: cs1}
      - {name: net, match: [{dst: [10.2.0.0/24, "fd02::/64"], length: 0-300}], when_full: [drop]}
      - {name: default, remark: af11}
)"},
    {"XconnectTenantsByVlan", R"(
transitions:
  - from: [lan]
    to: wan
    forward: xconnect
    isolate: hosts
    tenants: {by: vlan, list: [{name: a, match: 5}, {name: b, match: 7}]}
    classes:
      - {name: pcp, match: [{pcp: [1, 3, 5]}], remark: ef}
      - {name: default}
)"},
};

class Fuzz : public testing::TestWithParam<Case> {};

// All classes tight, so that laws and limits are met on the way.
void tighten(World &world) {
    for (uint32_t c = 0; c < world.maps().class_rows(); c++) {
        world.klass(c).codel = {1'000'000, 10'000'000};
        world.share(c) = {.vt0 = 0,
                          .t0_ns = monotonic_now_ns(),
                          .bytes_per_ns = 1ull << 22,
                          .ns_per_byte = 1000ull << 20,
                          .target_bytes = 300,
                          .step_bytes = 100};
        set_limits(world.share(c), 3000, 6000);
    }
}

// What is true of each frame alone. `right`: its IPv4 checksum was. Routed frames leave their VLAN tags
// behind.
void check_reply(const Frame &f, bool right, const Reply &run, bool routed) {
    ASSERT_LE(run.verdict, kRedirect);
    ASSERT_NE(run.verdict, kAborted);
    ASSERT_NE(run.verdict, kTx);
    if (run.verdict == kRedirect) {
        ASSERT_EQ(run.out.size(), f.size() - (routed ? l2_payload(f) - 14 : 0));
        ASSERT_EQ(ipv4_checksum_right(run.out), right);
    } else {
        ASSERT_EQ(run.out, f) << "a frame that is not forwarded is not touched";
    }
}

TEST_P(Fuzz, EveryFrameEndsInOneOutcome) {
    constexpr uint32_t kFrames = 12'000;
    auto world = World::make({.policy = GetParam().policy});
    ASSERT_TRUE(world);
    const bool routed = std::string(GetParam().policy).find("xconnect") == std::string::npos;
    tighten(*world);
    std::mt19937 random(4711);
    uint64_t verdicts[5] = {}, bytes = 0;
    const Totals before = world->totals();
    for (uint32_t i = 0; i < kFrames; i++) {
        const Frame f = any_frame(random, i % 2);
        const Reply run = world->run(f);
        check_reply(f, ipv4_checksum_right(f), run, routed);
        ASSERT_FALSE(HasFatalFailure()) << "frame " << i << ": " << testing::PrintToString(f);
        verdicts[run.verdict]++;
        bytes += f.size();
    }
    const Totals after = world->totals();
    std::array<uint64_t, SLUICE_OUTCOMES> became{};
    uint64_t sum = 0, pass = 0;
    for (uint32_t o = 0; o < SLUICE_OUTCOMES; o++) {
        became[o] = after.outcome[o] - before.outcome[o];
        sum += became[o];
        pass += o >= SLUICE_CLASS_OUTCOMES ? became[o] : 0;
    }
    EXPECT_EQ(after.received - before.received, kFrames);
    EXPECT_EQ(after.received_bytes - before.received_bytes, bytes);
    EXPECT_EQ(sum, kFrames) << "received = sum of all outcomes";
    EXPECT_EQ(pass, verdicts[kPass]);
    EXPECT_EQ(became[SLUICE_FORWARD] + became[SLUICE_MARK], verdicts[kRedirect]);
    EXPECT_GT(verdicts[kRedirect], kFrames / 20);
    EXPECT_GT(verdicts[kPass], kFrames / 100);
}

struct Leaving {
    const char *way;
    uint32_t outcome;
    bool xconnect;
};

class FuzzWays : public testing::TestWithParam<Leaving> {};

// The same of frames that must not join the queue and leave another way: cut, answered, or redirected
// elsewhere, they are as right as they were, and nobody is answered but by `bounce`.
TEST_P(FuzzWays, EveryFrameEndsInOneOutcome) {
    constexpr uint32_t kFrames = 6'000, kDetour = 2; // the class of `lte`
    const auto [way, outcome, xconnect] = GetParam();
    auto world = World::make({.policy = policy_with(xconnect, std::string("when_full: [") + way + ", drop]"),
                              .wan = std::string("{device: slow}") + kLte});
    ASSERT_TRUE(world);
    tighten(*world);
    world->share(kDetour).bytes_per_ns *= 2; // there is room on the other port
    world->share(kDetour).target_bytes = kHuge;
    set_limits(world->share(kDetour), kHuge, kHuge);
    std::mt19937 random(4712);
    const Totals before = world->totals();
    for (uint32_t i = 0; i < kFrames; i++) {
        const Frame f = any_frame(random, i % 2);
        const Reply run = world->run(f);
        const auto said = [&] { return "frame " + std::to_string(i) + ": " + testing::PrintToString(f); };
        ASSERT_NE(run.verdict, kAborted) << said();
        if (run.verdict == kRedirect) {
            ASSERT_LE(run.out.size(), f.size()) << said();
            ASSERT_EQ(ipv4_checksum_right(run.out), ipv4_checksum_right(f)) << said();
        } else if (run.verdict == kTx) {
            ASSERT_EQ(outcome, SLUICE_BOUNCE) << said();
            ASSERT_TRUE(ipv4_checksum_right(run.out)) << said();
        } else {
            ASSERT_EQ(run.out, f) << said();
        }
    }
    const Totals after = world->totals();
    uint64_t sum = 0;
    for (uint32_t o = 0; o < SLUICE_OUTCOMES; o++)
        sum += after.outcome[o] - before.outcome[o];
    EXPECT_EQ(after.received - before.received, kFrames);
    EXPECT_EQ(sum, kFrames) << "received = sum of all outcomes";
    EXPECT_GT(after.outcome[outcome] - before.outcome[outcome], 0u) << "the way was taken";
}

INSTANTIATE_TEST_SUITE_P(
    Ways, FuzzWays,
    testing::Values(Leaving{"trim", SLUICE_TRIM, false}, Leaving{"trim", SLUICE_TRIM, true},
                    Leaving{"bounce", SLUICE_BOUNCE, false}, Leaving{"bounce", SLUICE_BOUNCE, true},
                    Leaving{"reroute", SLUICE_REROUTE, false}, Leaving{"reroute", SLUICE_REROUTE, true},
                    Leaving{"spill", SLUICE_SPILL, false}),
    [](const auto &of) { return std::string(of.param.way) + (of.param.xconnect ? "Xconnect" : "Fib"); });

INSTANTIATE_TEST_SUITE_P(Policy, Fuzz, testing::ValuesIn(kCases),
                         [](const auto &of) { return std::string(of.param.name); });

} // namespace
} // namespace sluice::progrun
