// What a router and a wire look at, case by case.
#include "recipes.hpp"

namespace sluice::progrun {
namespace {

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
    expect(SLUICE_PASS_OUT_OF_SERVICE, {});
    world->restore_devmap_entry(kWan);
}

// From any tags to any: what the frame leaves with is that of the interface which the route names, here
// `other`. The frame is charged with the bytes that leave.
TEST_F(Routing, FromVlanToVlan) {
    const uint32_t other = world->ifindex_of("other");
    for (const int family : {4, 6})
        for (const int in : {0, 1, 2})
            for (const int out : {1, 2}) {
                SCOPED_TRACE(testing::Message() << family << ": " << in << " tags to " << out);
                world->forget_vlans();
                world->know_vlans();
                world->enter_vlan(world->slow_ifindex, out, other);
                Frame frame =
                    build({.family = family, .tags = in, .dst = family == 4 ? "10.3.0.2" : "fd03::2"});
                if (in) // with a priority
                    frame[14] |= 0xa0;
                const Totals before = world->totals();
                const Reply reply = world->run(frame);
                EXPECT_EQ(reply.verdict, kRedirect);
                Frame expected = frame;
                route_hop(expected, {2, 0, 0, 0, 3, 2}, {2, 0, 0, 0, 3, 1});
                retag(expected, out);
                if (in == out)
                    expected[14] |= 0xa0; // the same tags stay as they are
                EXPECT_EQ(reply.out, expected);
                EXPECT_EQ(world->totals().admitted_bytes - before.admitted_bytes, expected.size() + 24);
            }
    world->forget_vlans();
    world->know_vlans();
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
