// Classes and flows: which rule takes a frame, and which frames share a bucket.
#include "world.hpp"

#include <bpf/bpf.h>

#include <set>

namespace sluice::progrun {
namespace {

const char *const kClasses = R"(
transitions:
  - from: [lan]
    to: wan
    classes:
      - {name: voice, match: [{dscp: [ef, cs5]}]}
      - {name: v4net, match: [{dst: 10.2.0.128/25}]}
      - {name: v6net, match: [{src: "fd01::100/120"}]}
      - {name: web, match: [{proto: tcp, dport: 80-90}]}
      - {name: high, match: [{proto: udp, sport: 1024-65535, dport: 5000}]}
      - {name: sctp, match: [{proto: sctp}]}
      - {name: late, match: [{dscp: ef}, {proto: tcp}]}
      - {name: default}
)";
enum : uint32_t { kVoice, kV4, kV6, kWeb, kHigh, kSctp, kLate, kDefault };

class Classes : public testing::Test {
  protected:
    static void SetUpTestSuite() {
        world = World::make({.policy = kClasses});
        shell("ip neigh add 10.2.0.200 lladdr 02:00:00:00:02:02 dev slow nud permanent");
    }
    static void TearDownTestSuite() { world.reset(); }
    void SetUp() override {
        ASSERT_TRUE(world);
        world->reset();
    }
    static uint32_t class_of(const FrameSpec &spec) {
        return world->maps().flow(world->bucket_of(build(spec))).class_id - world->dataplane->class_base();
    }
    static std::unique_ptr<World> world;
};
std::unique_ptr<World> Classes::world;

TEST_F(Classes, Dscp) {
    for (int family : {4, 6}) {
        EXPECT_EQ(class_of({.family = family, .tos = 46 << 2}), kVoice);
        EXPECT_EQ(class_of({.family = family, .tos = 40 << 2 | 2}), kVoice) << "ECN is no part of the DSCP";
        EXPECT_EQ(class_of({.family = family, .tos = 45 << 2}), kDefault);
    }
}

TEST_F(Classes, Prefixes) {
    EXPECT_EQ(class_of({.dst = "10.2.0.200"}), kV4);
    EXPECT_EQ(class_of({.dst = "10.2.0.2"}), kDefault);
    EXPECT_EQ(class_of({.family = 6, .src = "fd01::1ff"}), kV6);
    EXPECT_EQ(class_of({.family = 6, .src = "fd01::200"}), kDefault);
}

TEST_F(Classes, PortRanges) {
    for (int family : {4, 6}) {
        EXPECT_EQ(class_of({.family = family, .proto = Proto::tcp, .dport = 80}), kWeb);
        EXPECT_EQ(class_of({.family = family, .proto = Proto::tcp, .dport = 90}), kWeb);
        EXPECT_EQ(class_of({.family = family, .proto = Proto::tcp, .dport = 79}), kLate);
        EXPECT_EQ(class_of({.family = family, .proto = Proto::tcp, .dport = 91}), kLate);
        EXPECT_EQ(class_of({.family = family, .proto = Proto::udp, .dport = 80}), kDefault);
        EXPECT_EQ(class_of({.family = family, .sport = 1024, .dport = 5000}), kHigh);
        EXPECT_EQ(class_of({.family = family, .sport = 1023, .dport = 5000}), kDefault);
    }
}

TEST_F(Classes, ProtocolAboveTheFirstWord) {
    for (int family : {4, 6})
        EXPECT_EQ(class_of({.family = family, .proto = Proto::sctp}), kSctp);
}

TEST_F(Classes, FirstMatchWins) {
    EXPECT_EQ(class_of({.tos = 46 << 2, .dst = "10.2.0.200"}), kVoice);
    EXPECT_EQ(class_of({.proto = Proto::tcp, .dport = 85, .dst = "10.2.0.200"}), kV4);
}

TEST_F(Classes, FragmentsNeverMatchPorts) {
    for (int family : {4, 6}) {
        FrameSpec first{.family = family, .proto = Proto::tcp, .dport = 80, .first_fragment = true};
        EXPECT_EQ(class_of(first), kLate) << "by protocol, not by port";
        FrameSpec later{.family = family, .proto = Proto::tcp, .dport = 80, .fragment = true};
        EXPECT_EQ(class_of(later), kLate);
    }
}

TEST_F(Classes, PortsBehindExtensionHeaders) {
    EXPECT_EQ(class_of({.family = 6, .proto = Proto::tcp, .dport = 80, .extensions = {60, 43}}), kWeb);
    EXPECT_EQ(class_of({.family = 6, .proto = Proto::tcp, .dport = 80, .extensions = {51}}), kWeb) << "AH";
}

class Isolation : public testing::TestWithParam<const char *> {};

// Which of source, destination and port distinguish flows, by mode.
TEST_P(Isolation, SameAndDifferentBuckets) {
    const std::string mode = GetParam();
    auto world = World::make({.policy = "transitions:\n  - {from: [lan], to: wan, isolate: " + mode + "}\n"});
    ASSERT_TRUE(world);
    shell("ip neigh add 10.2.0.3 lladdr 02:00:00:00:02:02 dev slow nud permanent;"
          "ip neigh add fd02::3 lladdr 02:00:00:00:02:02 dev slow nud permanent");
    for (int family : {4, 6}) {
        const std::string other_src = family == 4 ? "10.1.0.3" : "fd01::3",
                          other_dst = family == 4 ? "10.2.0.3" : "fd02::3";
        auto bucket = [&](const FrameSpec &s) { return world->bucket_of(build(s)); };
        const uint32_t base = bucket({.family = family});
        EXPECT_EQ(bucket({.family = family}), base);
        EXPECT_EQ(bucket({.family = family, .payload = 500}), base);
        EXPECT_EQ(bucket({.family = family, .src = other_src}) == base, mode == "dsthost" || mode == "none");
        EXPECT_EQ(bucket({.family = family, .dst = other_dst}) == base, mode == "srchost" || mode == "none");
        EXPECT_EQ(bucket({.family = family, .sport = 7}) == base, mode != "flow");
        EXPECT_EQ(bucket({.family = family, .dport = 7}) == base, mode != "flow");
        EXPECT_EQ(bucket({.family = family, .proto = Proto::tcp}) == base, mode != "flow");
        EXPECT_EQ(bucket({.family = family, .fragment = true}),
                  bucket({.family = family, .first_fragment = true}))
            << "all fragments of a datagram are one flow";
    }
}

INSTANTIATE_TEST_SUITE_P(Modes, Isolation, testing::Values("flow", "srchost", "dsthost", "none"),
                         [](const auto &mode) { return std::string(mode.param); });

class Buckets : public Classes {
  protected:
    // Specs of flows that hash into one set, found by trying source ports.
    static std::vector<FrameSpec> one_set(size_t count) {
        std::vector<FrameSpec> out;
        uint32_t set = 0;
        for (uint32_t i = 0; i < 200'000 && out.size() < count; i++) {
            FrameSpec spec;
            spec.sport = static_cast<uint16_t>(i % 65'000);
            spec.dport = static_cast<uint16_t>(3 + i / 65'000);
            world->run(build(spec));
            const uint32_t here = last_touched();
            if (out.empty())
                set = here / SLUICE_FLOW_WAYS;
            if (here / SLUICE_FLOW_WAYS == set)
                out.push_back(spec);
            if (here / SLUICE_FLOW_WAYS != set)
                world->maps().flows[here / SLUICE_FLOW_WAYS] = sluice_flow_set{};
            else
                for (auto &way : world->maps().flows[set].way)
                    way = sluice_flow{};
        }
        return out;
    }
    static uint32_t last_touched() {
        for (uint32_t w = 0; w < world->maps().touched.size(); w++)
            if (auto &bits = world->maps().touched[w]) {
                const uint32_t bucket = w * 64 + static_cast<uint32_t>(__builtin_ctzll(bits));
                bits = 0;
                return bucket;
            }
        ADD_FAILURE() << "the controller was not told of the bucket";
        return 0;
    }
};

TEST_F(Buckets, FourWaysThenSharing) {
    for (auto &word : world->maps().touched)
        word = 0;
    const auto specs = one_set(5);
    ASSERT_EQ(specs.size(), 5u);
    std::set<uint32_t> used;
    for (size_t i = 0; i < 4; i++)
        used.insert(world->bucket_of(build(specs[i])));
    EXPECT_EQ(used.size(), 4u) << "four flows, four buckets";
    for (uint32_t b : used)
        EXPECT_EQ(world->maps().flow(b).listed, 1);
    const uint32_t shared = world->bucket_of(build(specs[4]));
    EXPECT_TRUE(used.contains(shared)) << "all listed: the fifth shares";

    // The controller forgets one: the fifth takes it over and finds no debt, no law state.
    const uint32_t freed = *used.begin();
    sluice_flow &flow = world->maps().flow(freed);
    flow.listed = 0;
    flow.finish = world->share().vt0 + 1'000'000;
    flow.codel.dropping = 1;
    flow.refused = 9;
    const uint32_t old_tag = flow.tag;
    EXPECT_EQ(world->bucket_of(build(specs[4])), freed);
    EXPECT_NE(flow.tag, old_tag);
    EXPECT_EQ(flow.packets, 1u);
    EXPECT_EQ(flow.refused, 0u);
    EXPECT_EQ(flow.codel.dropping, 0u);
    EXPECT_EQ(flow.finish, world->share().vt0 + build(specs[4]).size() + 24);
    EXPECT_EQ(flow.listed, 1);
}

} // namespace
} // namespace sluice::progrun
