// Every outcome, for every family, encapsulation and way of forwarding in which it can happen: verdict,
// bytes, counters. The table is also the coverage guard: an outcome without a recipe, or a combination that
// can happen and is not produced, fails.
#include "limits.hpp"
#include "world.hpp"

#include <functional>
#include <optional>

namespace sluice::progrun {
namespace {

constexpr uint64_t kFirstPass = SLUICE_CLASS_OUTCOMES;
constexpr int kFamilies[] = {4, 6, 0};

// One class for each way out, by the length of the frame; all others are `default`.
std::string policy_of(bool xconnect) {
    return std::string(xconnect ? kXconnect : kFib) + R"(
    overflow: [lte]
    classes:
      - {name: spill, match: [{length: 300-399}], when_full: [spill, drop]}
      - {name: reroute, match: [{length: 400-499}], when_full: [reroute, drop]}
      - {name: trim, match: [{length: 500-599}], when_full: [trim, drop]}
      - {name: bounce, match: [{length: 600-699}], when_full: [bounce, drop]}
      - {name: default}
  - {from: [lan], to: lte, forward: )" +
           (xconnect ? "xconnect}\n" : "fib}\n");
}
constexpr uint32_t kPayload[] = {300, 400, 500, 600}; // from SLUICE_SPILL on
constexpr uint32_t kTrimmed = 128;                    // bytes of the IP packet, by default
constexpr Mac kLteSink{2, 0, 0, 0, 4, 2};

std::string describe(uint32_t outcome, int family, int tags, bool xconnect) {
    return "outcome " + std::to_string(outcome) + ", family " + std::to_string(family) + ", " +
           std::to_string(tags) + " tags, " + (xconnect ? "xconnect" : "fib");
}

// What can happen at all. Routing looks only at untagged IP addressed to the port; a wire looks at next to
// nothing.
bool can_happen(uint32_t outcome, int family, int tags, bool xconnect) {
    const bool routable = family != 0 && tags == 0;
    switch (outcome) {
    case SLUICE_MARK:
    case SLUICE_TRIM:
    case SLUICE_BOUNCE:
        return family != 0 && (xconnect || routable);
    case SLUICE_FORWARD:
    case SLUICE_DROP_CODEL:
    case SLUICE_DROP_LIMIT:
    case SLUICE_DROP_RING:
    case SLUICE_PASS_BYPASS:
    case SLUICE_PASS_NOT_OURS:
    case SLUICE_PASS_MTU:
    case SLUICE_SPILL:
    case SLUICE_REROUTE:
        return xconnect || routable;
    case SLUICE_PASS_NON_IP:
        return !xconnect && family == 0;
    case SLUICE_PASS_MALFORMED:
        return family != 0;
    case SLUICE_PASS_VLAN:
        return !xconnect && family != 0 && tags > 0;
    case SLUICE_PASS_MULTICAST:
        return true;
    case SLUICE_PASS_OPTIONS:
        return !xconnect && family != 0;
    case SLUICE_PASS_OTHERHOST:
    case SLUICE_PASS_TTL:
    case SLUICE_PASS_LOCAL:
    case SLUICE_PASS_NEIGHBOUR:
        return !xconnect && routable;
    default:
        return true; // a new outcome: say above where it can happen, and how below
    }
}

// How to bring it about: change the frame, and return what must be true of the world while it runs.
struct Scene {
    FrameSpec spec;
    std::function<void(World &, const Frame &)> before = [](World &, const Frame &) {};
    std::function<void(World &)> after = [](World &) {};
    size_t truncate_by = 0;
};

// The flow of the frame must get a signal now, and the port beside this one would serve it better.
void make_late(World &world, const Frame &frame) {
    sluice_flow &flow = world.flow_of(frame);
    world.set_lag(flow, 20'000); // 20 ms
    const uint32_t index = flow.class_id - world.dataplane->class_base();
    world.klass(index).codel = {5'000'000, 100'000'000};
    world.share(index).target_bytes = 5'000;
    if (world.policy.transitions.size() > 1)
        world.share(world.policy.transitions[1].first_class).bytes_per_ns = 1;
    flow.codel = {};
    flow.codel.first_above_ns = flow.codel.next_ns = monotonic_now_ns() - 1'000'000;
    flow.codel.dropping = 1;
    flow.codel.count = 1;
}

std::optional<Scene> scene(uint32_t outcome, FrameSpec spec, bool xconnect) {
    Scene s{spec};
    switch (outcome) {
    case SLUICE_FORWARD:
    case SLUICE_PASS_NON_IP:
    case SLUICE_PASS_VLAN:
        return s;
    case SLUICE_MARK:
        s.spec.tos = 2;
        s.before = make_late;
        return s;
    case SLUICE_DROP_CODEL:
        s.before = make_late;
        return s;
    case SLUICE_DROP_LIMIT:
        s.before = [](World &w, const Frame &f) {
            sluice_flow &flow = w.flow_of(f);
            sluice_share &share = w.share(flow.class_id - w.dataplane->class_base());
            w.set_lag(flow, 20'000);
            share.target_bytes = 5'000;
            set_limits(share, 10'000, 10'000);
        };
        return s;
    case SLUICE_DROP_RING:
        s.before = [](World &w, const Frame &) { w.tx().empty_at_ns = monotonic_now_ns() + 10'000'000'000; };
        return s;
    case SLUICE_SPILL:
    case SLUICE_REROUTE:
    case SLUICE_TRIM:
    case SLUICE_BOUNCE:
        s.spec.payload = kPayload[outcome - SLUICE_SPILL];
        s.before = make_late;
        return s;
    case SLUICE_PASS_MALFORMED:
        s.truncate_by = 10;
        return s;
    case SLUICE_PASS_MULTICAST:
        s.spec.dmac = {0x01, 0x80, 0xc2, 0, 0, 0x0e};
        return s;
    case SLUICE_PASS_OTHERHOST:
        s.spec.dmac = {2, 0, 0, 0, 9, 9};
        return s;
    case SLUICE_PASS_OPTIONS:
        s.spec.options = true;
        return s;
    case SLUICE_PASS_TTL:
        s.spec.ttl = 1;
        return s;
    case SLUICE_PASS_LOCAL:
        s.spec.dst = spec.family == 4 ? "10.1.0.1" : "fd01::1";
        return s;
    case SLUICE_PASS_NEIGHBOUR:
        s.spec.dst = spec.family == 4 ? "10.2.0.99" : "fd02::99";
        return s;
    case SLUICE_PASS_MTU:
        s.spec.payload = kSlowMtu;
        return s;
    case SLUICE_PASS_NOT_OURS:
        if (!xconnect)
            s.spec.dst = spec.family == 4 ? "10.3.0.2" : "fd03::2";
        s.before = [xconnect](World &w, const Frame &) {
            if (xconnect)
                w.delete_devmap_entry(kWan);
        };
        s.after = [xconnect](World &w) {
            if (xconnect)
                w.restore_devmap_entry(kWan);
        };
        return s;
    case SLUICE_PASS_BYPASS:
        s.before = [](World &w, const Frame &) {
            w.maps().transitions[w.dataplane->generation() * SLUICE_MAX_TRANSITIONS].bypass_on_loss = 1;
            w.maps().control[0].heartbeat_ns = monotonic_now_ns() - 2 * SLUICE_LOSS_NS;
        };
        s.after = [](World &w) {
            w.maps().transitions[w.dataplane->generation() * SLUICE_MAX_TRANSITIONS].bypass_on_loss = 0;
        };
        return s;
    default:
        return std::nullopt;
    }
}

uint32_t expected_verdict(uint32_t outcome) {
    if (outcome == SLUICE_BOUNCE)
        return kTx;
    if (outcome == SLUICE_SPILL)
        return kPass;
    return outcome <= SLUICE_MARK || outcome == SLUICE_REROUTE || outcome == SLUICE_TRIM ? kRedirect
           : outcome < kFirstPass                                                        ? kDrop
                                                                                         : kPass;
}

Frame expected_bytes(Frame frame, uint32_t outcome, bool xconnect) {
    if (outcome == SLUICE_TRIM)
        cut_ip(frame, kTrimmed);
    if ((outcome <= SLUICE_MARK || outcome == SLUICE_TRIM) && !xconnect)
        route_hop(frame, kSinkMac, kSlowMac);
    if (outcome == SLUICE_REROUTE && !xconnect)
        route_hop(frame, kLteSink, kLteMac);
    if (outcome == SLUICE_MARK)
        set_ce(frame);
    return frame;
}

void play(World &world, uint32_t outcome, const Scene &s, bool xconnect) {
    world.reset();
    Frame frame = build(s.spec);
    frame.resize(frame.size() - s.truncate_by);
    s.before(world, frame);
    const Totals before = world.totals();
    const Reply run = world.run(frame);
    const Totals after = world.totals();
    s.after(world);
    EXPECT_EQ(run.verdict, expected_verdict(outcome));
    if (outcome != SLUICE_BOUNCE) { // ways_test has its bytes
        EXPECT_EQ(run.out, expected_bytes(frame, outcome, xconnect));
    }
    EXPECT_TRUE(outcome == SLUICE_PASS_MALFORMED || ipv4_checksum_right(run.out));
    EXPECT_EQ(after.received - before.received, 1u);
    EXPECT_EQ(after.received_bytes - before.received_bytes, frame.size());
    for (uint32_t o = 0; o < SLUICE_OUTCOMES; o++)
        EXPECT_EQ(after.outcome[o] - before.outcome[o], o == outcome ? 1u : 0u) << "counter of outcome " << o;
    EXPECT_EQ(after.would, before.would);
    const bool sent = outcome <= SLUICE_MARK || outcome == SLUICE_REROUTE || outcome == SLUICE_TRIM;
    const uint64_t wire = std::max<uint64_t>(run.out.size() + 24, 84);
    EXPECT_EQ(after.admitted_bytes - before.admitted_bytes, sent ? wire : 0);
}

class Outcome : public testing::TestWithParam<bool> {};

TEST_P(Outcome, EveryCombinationThatCanHappen) {
    const bool xconnect = GetParam();
    auto world = World::make({.policy = policy_of(xconnect),
                              .wan = "{device: slow}\n  lte: {device: lte, next_hop: [10.4.0.2, fd04::2]}"});
    ASSERT_TRUE(world);
    for (uint32_t outcome = 0; outcome < SLUICE_OUTCOMES; outcome++)
        for (int family : kFamilies)
            for (int tags = 0; tags <= 2; tags++) {
                if (!can_happen(outcome, family, tags, xconnect))
                    continue;
                SCOPED_TRACE(describe(outcome, family, tags, xconnect));
                FrameSpec spec;
                spec.family = family;
                spec.tags = tags;
                const auto s = scene(outcome, spec, xconnect);
                ASSERT_TRUE(s) << "no test brings this outcome about";
                play(*world, outcome, *s, xconnect);
            }
}

INSTANTIATE_TEST_SUITE_P(Forward, Outcome, testing::Bool(),
                         [](const auto &xconnect) { return xconnect.param ? "Xconnect" : "Fib"; });

class Routing : public testing::Test {
  protected:
    static void SetUpTestSuite() { world = World::make({.policy = kFib}); }
    static void TearDownTestSuite() { world.reset(); }
    void SetUp() override { ASSERT_TRUE(world); }
    void expect(uint32_t outcome, const FrameSpec &spec) {
        Scene s;
        s.spec = spec;
        play(*world, outcome, s, false);
    }
    static std::unique_ptr<World> world;
};
std::unique_ptr<World> Routing::world;

TEST_F(Routing, EveryTransportIsForwarded) {
    for (Proto p : {Proto::tcp, Proto::udp, Proto::icmp, Proto::sctp, Proto::none})
        expect(SLUICE_FORWARD, {.family = 4, .proto = p});
    for (Proto p : {Proto::tcp, Proto::udp, Proto::icmp6, Proto::sctp, Proto::none})
        expect(SLUICE_FORWARD, {.family = 6, .proto = p});
}

TEST_F(Routing, FragmentsAreForwarded) {
    for (int family : {4, 6}) {
        expect(SLUICE_FORWARD, {.family = family, .fragment = true});
        expect(SLUICE_FORWARD, {.family = family, .first_fragment = true});
    }
}

TEST_F(Routing, ExtensionHeadersAreWalked) {
    expect(SLUICE_FORWARD, {.family = 6, .extensions = {43}});
    expect(SLUICE_FORWARD, {.family = 6, .extensions = {60, 43, 60}});
    expect(SLUICE_FORWARD, {.family = 6, .extensions = {60, 60, 60, 60, 60, 60}});
}

TEST_F(Routing, TtlTwoIsForwardedZeroIsNot) {
    for (int family : {4, 6}) {
        expect(SLUICE_FORWARD, {.family = family, .ttl = 2});
        expect(SLUICE_PASS_TTL, {.family = family, .ttl = 0});
    }
}

TEST_F(Routing, ChecksumSurvivesEveryTtlAndTos) {
    for (int ttl = 2; ttl < 256; ttl++)
        expect(SLUICE_FORWARD,
               {.family = 4, .tos = static_cast<uint8_t>(ttl * 4), .ttl = static_cast<uint8_t>(ttl)});
}

TEST_F(Routing, AddressesThatNoRouterForwards) {
    const char *v4[] = {"224.0.0.1", "255.255.255.255", "169.254.1.1", "127.0.0.1", "0.0.0.0", "240.0.0.1"};
    const char *v6[] = {"ff02::1", "fe80::1", "::1", "::"};
    for (const char *a : v4) {
        expect(SLUICE_PASS_MULTICAST, {.family = 4, .dst = a});
        expect(SLUICE_PASS_MULTICAST, {.family = 4, .src = a});
    }
    for (const char *a : v6) {
        expect(SLUICE_PASS_MULTICAST, {.family = 6, .dst = a});
        expect(SLUICE_PASS_MULTICAST, {.family = 6, .src = a});
    }
    expect(SLUICE_PASS_MULTICAST, {.dmac = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}});
    expect(SLUICE_PASS_MULTICAST, {.family = 6, .dmac = {0x33, 0x33, 0, 0, 0, 1}});
}

TEST_F(Routing, MtuIsThatOfTheEgress) {
    for (int family : {4, 6}) {
        const uint32_t headers = family == 4 ? 28 : 48;
        expect(SLUICE_FORWARD, {.family = family, .payload = kSlowMtu - headers});
        expect(SLUICE_PASS_MTU, {.family = family, .payload = kSlowMtu - headers + 1});
    }
}

TEST_F(Routing, NoRouteAndUnreachableAreTheKernels) {
    expect(SLUICE_PASS_LOCAL, {.dst = "192.0.2.1"});
    ASSERT_TRUE(shell("ip route add blackhole 198.51.100.0/24; ip route add unreachable 203.0.113.0/24"));
    expect(SLUICE_PASS_LOCAL, {.dst = "198.51.100.1"});
    expect(SLUICE_PASS_LOCAL, {.dst = "203.0.113.1"});
}

TEST_F(Routing, ForwardingSwitchedOffIsRespected) {
    ASSERT_TRUE(shell("sysctl -qw net.ipv4.conf.fast.forwarding=0"));
    expect(SLUICE_PASS_LOCAL, {});
    ASSERT_TRUE(shell("sysctl -qw net.ipv4.conf.fast.forwarding=1"));
}

TEST_F(Routing, ARouteOverAGateway) {
    ASSERT_TRUE(shell("ip route add 100.64.0.0/24 via 10.2.0.2"));
    expect(SLUICE_FORWARD, {.dst = "100.64.0.7"});
}

TEST_F(Routing, EthernetPaddingIsNotMalformed) {
    Frame f = build({.payload = 1});
    f.resize(60);
    EXPECT_EQ(world->run(f).verdict, kRedirect);
}

TEST_F(Routing, ADevmapEntryThatIsGone) {
    world->delete_devmap_entry(kWan);
    expect(SLUICE_PASS_NOT_OURS, {});
    world->restore_devmap_entry(kWan);
}

// A wire carries what routers would look at: IGMP and MLD come with router-alert options.
TEST(Wire, OptionsGoThrough) {
    auto world = World::make({.policy = kXconnect});
    ASSERT_TRUE(world);
    for (int family : {4, 6}) {
        SCOPED_TRACE(family);
        Scene s;
        s.spec = {.family = family, .options = true};
        play(*world, SLUICE_FORWARD, s, true);
    }
}

TEST(Wire, OnlyWhatEndsAtTheNextStationStays) {
    auto world = World::make({.policy = kXconnect});
    ASSERT_TRUE(world);
    Scene s;
    s.spec.dmac = {0x01, 0x80, 0xc2, 0, 0, 0x10};
    play(*world, SLUICE_FORWARD, s, true);
    s.spec.dmac = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    play(*world, SLUICE_FORWARD, s, true);
    s.spec.dmac = {0x01, 0x80, 0xc2, 0, 0, 0x0f};
    play(*world, SLUICE_PASS_MULTICAST, s, true);
    s.spec = {.ttl = 1};
    play(*world, SLUICE_FORWARD, s, true);
}

// A program without frags support cannot be attached natively here: ERANGE.
TEST(Wire, JumboPortsGetAProgramForSeveralBuffers) {
    auto world = World::make({.policy = kXconnect, .fast_mtu = 9000});
    ASSERT_TRUE(world);
    EXPECT_EQ(world->dataplane->ports()[0].xdp_mode, "native");
    play(*world, SLUICE_FORWARD, Scene{}, true);
}

} // namespace
} // namespace sluice::progrun
