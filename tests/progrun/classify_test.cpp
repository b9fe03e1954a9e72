// Classes and flows: which rule takes a frame, and which frames share a bucket.
#include "world.hpp"

#include <bpf/bpf.h>

#include <cstdio>
#include <fstream>
#include <set>

#include <unistd.h>

#include "policy/load.hpp"

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

const char *const kFields = R"(
transitions:
  - from: lan
    to: wan
    forward: xconnect
    classes:
      - {name: vlans, match: [{vlan: 100-199, pcp: [0, 1]}]}
      - {name: pcp, match: [{pcp: 5}]}
      - {name: small, match: [{length: 0-80}]}
      - {name: both, match: [{src: [10.9.0.0/16, "fd09::/16"], dst: 10.8.0.0/16}]}
      - {name: inner, match: [{dst: 10.8.7.0/24}]}
      - {name: here, match: [{in: lan, dscp: 33}]}
      - {name: default, remark: cs1}
)";
enum : uint32_t { kVlans, kPcp, kSmall, kBoth, kInner, kHere, kRest };

Frame tagged(FrameSpec spec, uint16_t tci) {
    spec.tags = 1;
    Frame f = build(spec);
    f[14] = static_cast<uint8_t>(tci >> 8);
    f[15] = static_cast<uint8_t>(tci);
    return f;
}

TEST(Fields, EveryCriterionAlone) {
    auto world = World::make({.policy = kFields});
    ASSERT_TRUE(world);
    const auto class_of = [&](const Frame &f) {
        return world->maps().flow(world->bucket_of(f)).class_id - world->dataplane->class_base();
    };
    EXPECT_EQ(class_of(tagged({}, 100)), kVlans);
    EXPECT_EQ(class_of(tagged({}, 1 << 13 | 199)), kVlans);
    EXPECT_EQ(class_of(tagged({}, 2 << 13 | 199)), kRest) << "the PCP is not one of the rule's";
    EXPECT_EQ(class_of(tagged({}, 200)), kRest);
    EXPECT_EQ(class_of(tagged({}, 5 << 13 | 7)), kPcp);
    EXPECT_EQ(class_of(build({})), kRest) << "untagged: neither VLAN nor PCP";
    EXPECT_EQ(class_of(build({.payload = 80 - 42})), kSmall);
    EXPECT_EQ(class_of(tagged({.payload = 80 - 42}, 7)), kSmall) << "the tag does not count";
    EXPECT_EQ(class_of(build({.payload = 81 - 42})), kRest);
    EXPECT_EQ(class_of(build({.src = "10.9.1.1", .dst = "10.8.7.6"})), kBoth) << "first match wins";
    EXPECT_EQ(class_of(build({.src = "10.1.1.1", .dst = "10.8.7.6"})), kInner);
    EXPECT_EQ(class_of(build({.src = "10.9.1.1", .dst = "10.7.7.6"})), kRest);
    EXPECT_EQ(class_of(build({.family = 6, .src = "fd09::1"})), kRest) << "the destination is IPv4";
    EXPECT_EQ(class_of(build({.tos = 33 << 2})), kHere);
    EXPECT_EQ(class_of(build({.family = 6, .tos = 33 << 2})), kHere);
}

TEST(Fields, RemarkWritesTheDscpAndKeepsEcnAndChecksum) {
    auto world = World::make({.policy = kFields});
    ASSERT_TRUE(world);
    for (int family : {4, 6})
        for (uint8_t ecn = 0; ecn < 4; ecn++) {
            const Frame in = build({.family = family, .tos = static_cast<uint8_t>(11 << 2 | ecn)});
            const Reply reply = world->run(in);
            ASSERT_EQ(reply.verdict, kRedirect);
            EXPECT_EQ(reply.out, build({.family = family, .tos = static_cast<uint8_t>(8 << 2 | ecn)}));
            EXPECT_TRUE(ipv4_checksum_right(reply.out));
        }
}

// A hundred thousand prefixes of a thousand tenants: each finds its own, neighbours do not.
TEST(Tenants, OneHundredThousandPrefixes) {
    const std::string file = "/tmp/sluice-tenants-" + std::to_string(getpid()) + ".csv";
    {
        std::ofstream csv(file);
        csv << "name,match,weight\n";
        for (int t = 0; t < 1000; t++) {
            csv << "t" << t << ",";
            for (int p = 0; p < 100; p++) // 100000 /28 from 11.0.0.0 on, in no order
                csv << (p ? " " : "") << 11 + (t * 100 + p) / 100'000 << "." << (t * 100 + p) / 4096 % 256
                    << "." << (t * 100 + p) / 16 % 256 << "." << (t * 100 + p) % 16 * 16 << "/28";
            csv << "," << 1 + t % 9 << "\n";
        }
    }
    auto world =
        World::make({.policy = "transitions:\n  - {from: lan, to: wan, forward: xconnect, tenants: {by: dst, "
                               "file: " +
                               file + "}}\n"});
    std::remove(file.c_str());
    ASSERT_TRUE(world);
    EXPECT_EQ(world->policy.class_count, 1001u);
    const uint32_t base = world->dataplane->class_base();
    for (int n : {0, 1, 99, 100, 4095, 4096, 54321, 99'999}) {
        const std::string net =
            "11." + std::to_string(n / 4096 % 256) + "." + std::to_string(n / 16 % 256) + ".";
        for (int host : {0, 15}) {
            const std::string dst = net + std::to_string(n % 16 * 16 + host);
            EXPECT_EQ(world->maps().flow(world->bucket_of(build({.dst = dst}))).class_id - base, 1u + n / 100)
                << dst;
        }
    }
    EXPECT_EQ(world->maps().flow(world->bucket_of(build({.dst = "12.0.0.1"}))).class_id - base, 0u);
    EXPECT_EQ(world->maps().flow(world->bucket_of(build({.family = 6}))).class_id - base, 0u);
    // The next generation has other tenants; nothing of the old is left in the trie.
    LoadResult next =
        load_policy_text("version: 1\nports: {lan: {device: fast}, wan: {device: slow}}\n"
                         "transitions: [{from: lan, to: wan, forward: xconnect, tenants: {by: dst, list: "
                         "[{name: all, match: 11.0.0.0/8}]}}]\n",
                         "next.yaml");
    ASSERT_TRUE(next.policy);
    for (int i = 0; i < 2; i++) // twice: back to the generation that was full
        ASSERT_TRUE(world->dataplane->apply(compile(*next.policy)));
    const uint32_t now = world->dataplane->class_base();
    EXPECT_EQ(world->maps().flow(world->bucket_of(build({.dst = "11.3.4.5"}))).class_id - now, 1u);
}

TEST(Tenants, ByVlan) {
    auto world = World::make(
        {.policy = "transitions:\n  - {from: lan, to: wan, forward: xconnect, classes: diffserv3, "
                   "tenants: {by: vlan, list: [{name: a, match: [7, 8]}, {name: b, match: 9}]}}\n"});
    ASSERT_TRUE(world);
    const auto class_of = [&](const Frame &f) {
        return world->maps().flow(world->bucket_of(f)).class_id - world->dataplane->class_base();
    };
    enum : uint32_t { voice, bulk, best_effort, classes };
    EXPECT_EQ(class_of(tagged({.tos = 46 << 2}, 8)), 1 * classes + voice);
    EXPECT_EQ(class_of(tagged({}, 9)), 2 * classes + best_effort);
    EXPECT_EQ(class_of(tagged({.tos = 8 << 2}, 10)), bulk) << "nobody's VLAN";
    EXPECT_EQ(class_of(build({})), best_effort);
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
