// PPPoE sessions: rules, flows and remarks go by the IP packet inside, behind any number of VLAN tags; what
// is not a well-formed session frame is the kernel's to judge.
#include "recipes.hpp"

namespace sluice::progrun {
namespace {

const char *const kPolicy = R"(
transitions:
  - from: lan
    to: wan
    forward: xconnect
    classes:
      - {name: voice, match: [{dscp: ef}]}
      - {name: web, match: [{proto: tcp, dport: 443}]}
      - {name: net, match: [{dst: [10.2.0.128/25, "fd02:1::/32"]}]}
      - {name: tiny, match: [{length: 0-70}]}
      - {name: default, remark: cs1}
)";
enum : uint32_t { kVoice, kWeb, kNet, kTiny, kDefault };

class Pppoe : public testing::TestWithParam<int> { // VLAN tags in front
  protected:
    static void SetUpTestSuite() { world = World::make({.policy = kPolicy}); }
    static void TearDownTestSuite() { world.reset(); }
    void SetUp() override {
        ASSERT_TRUE(world);
        world->reset();
    }
    FrameSpec session(FrameSpec spec) const {
        spec.tags = GetParam();
        spec.pppoe = true;
        return spec;
    }
    static uint32_t class_of(const FrameSpec &spec) {
        return world->maps().flow(world->bucket_of(build(spec))).class_id - world->dataplane->class_base();
    }
    // Where the PPPoE header is.
    Frame with_byte(Frame frame, size_t at, uint8_t value) const {
        frame[l2_payload(frame) + at] = value;
        return frame;
    }
    static void expect_malformed(const Frame &frame) {
        const Totals before = world->totals();
        const Reply reply = world->run(frame);
        EXPECT_EQ(reply.verdict, kPass);
        EXPECT_EQ(reply.out, frame);
        EXPECT_EQ(world->totals().outcome[SLUICE_PASS_MALFORMED], before.outcome[SLUICE_PASS_MALFORMED] + 1);
    }
    static std::unique_ptr<World> world;
};
std::unique_ptr<World> Pppoe::world;

TEST_P(Pppoe, RulesLookInside) {
    for (int family : {4, 6}) {
        const std::string net = family == 4 ? "10.2.0.200" : "fd02:1::7";
        EXPECT_EQ(class_of(session({.family = family, .tos = 46 << 2})), kVoice);
        EXPECT_EQ(class_of(session({.family = family, .proto = Proto::tcp, .dport = 443})), kWeb);
        EXPECT_EQ(class_of(session({.family = family, .dst = net})), kNet);
        EXPECT_EQ(class_of(session({.family = family})), kDefault);
    }
    EXPECT_EQ(class_of(session({.payload = 70 - 42})), kTiny) << "neither tags nor PPPoE count as length";
    EXPECT_EQ(class_of(session({.payload = 71 - 42})), kDefault);
}

TEST_P(Pppoe, FlowsAreThoseInside) {
    for (int family : {4, 6}) {
        const uint32_t one = world->bucket_of(build(session({.family = family})));
        EXPECT_EQ(world->bucket_of(build(session({.family = family, .payload = 500}))), one);
        EXPECT_NE(world->bucket_of(build(session({.family = family, .sport = 7}))), one);
        EXPECT_NE(
            world->bucket_of(build(session({.family = family, .dst = family == 4 ? "10.2.0.3" : "fd02::3"}))),
            one);
    }
}

TEST_P(Pppoe, RemarkWritesTheInnerDscpAndItsChecksum) {
    for (int family : {4, 6})
        for (uint8_t ecn = 0; ecn < 4; ecn++) {
            const Reply reply =
                world->run(build(session({.family = family, .tos = static_cast<uint8_t>(11 << 2 | ecn)})));
            ASSERT_EQ(reply.verdict, kRedirect);
            EXPECT_EQ(reply.out,
                      build(session({.family = family, .tos = static_cast<uint8_t>(8 << 2 | ecn)})));
            EXPECT_TRUE(ipv4_checksum_right(reply.out));
        }
}

TEST_P(Pppoe, ControlProtocolsAreForwardedAsTheyAre) {
    const Frame lcp = build(session({.family = 0}));
    const Reply reply = world->run(lcp);
    EXPECT_EQ(reply.verdict, kRedirect);
    EXPECT_EQ(reply.out, lcp);
    Frame discovery = lcp; // PADI and its like: another ethertype, another code
    discovery[l2_payload(lcp) - 1] = 0x63;
    discovery = with_byte(discovery, 1, 0x09);
    const Reply other = world->run(discovery);
    EXPECT_EQ(other.verdict, kRedirect);
    EXPECT_EQ(other.out, discovery);
}

TEST_P(Pppoe, HeadersThatLie) {
    for (int family : {4, 6, 0}) {
        const Frame good = build(session({.family = family}));
        const size_t bytes = good.size() - l2_payload(good) - 6;
        ASSERT_EQ(world->run(good).verdict, kRedirect);
        expect_malformed(with_byte(good, 0, 0x21)); // version
        expect_malformed(with_byte(good, 0, 0x12)); // type
        expect_malformed(with_byte(good, 1, 0x01)); // code
        expect_malformed(with_byte(good, 5, 1));    // too short for the PPP protocol
        expect_malformed(with_byte(good, 5, static_cast<uint8_t>(bytes + 1)));
        if (family)
            expect_malformed(with_byte(good, 5, static_cast<uint8_t>(bytes - 1))); // IP says more
        for (size_t size = l2_payload(good); size < good.size(); size++)
            expect_malformed({good.begin(), good.begin() + static_cast<ptrdiff_t>(size)});
    }
}

TEST_P(Pppoe, EthernetPaddingIsNotMalformed) {
    Frame f = build(session({.payload = 1}));
    f.resize(f.size() + 20);
    EXPECT_EQ(world->run(f).verdict, kRedirect);
}

// The session is Ethernet payload of the device that it leaves by.
TEST_P(Pppoe, TheMtuCountsItsHeader) {
    for (int family : {4, 6}) {
        const uint32_t headers = (family == 4 ? 28 : 48) + 8;
        EXPECT_EQ(world->run(build(session({.family = family, .payload = kSlowMtu - headers}))).verdict,
                  kRedirect);
        EXPECT_EQ(world->run(build(session({.family = family, .payload = kSlowMtu - headers + 1}))).verdict,
                  kPass);
    }
}

INSTANTIATE_TEST_SUITE_P(Tags, Pppoe, testing::Values(0, 1, 2),
                         [](const auto &tags) { return std::to_string(tags.param); });

} // namespace
} // namespace sluice::progrun
