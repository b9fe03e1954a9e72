// explain and the packet path agree: the policy as it was written, and the bitmaps and tries that it was
// compiled to, give every frame the same class and tenant.
#include <arpa/inet.h>

#include <random>

#include "policy/load.hpp"
#include "policy/match.hpp"
#include "world.hpp"

namespace sluice::progrun {
namespace {

const char *const kRules = R"(
transitions:
  - from: [lan]
    to: wan
    forward: xconnect
    tenants:
      by: dst
      list:
        - {name: a, match: [10.2.0.0/24, "fd02::/64"]}
        - {name: b, match: 10.2.0.128/25}
        - {name: c, match: "fd02::100/120"}
    classes:
      - {name: voice, match: [{dscp: [ef, cs5]}]}
      - {name: nets, match: [{dst: [10.2.0.128/26, "fd02::1:0/112"], src: 10.1.0.0/16}]}
      - {name: deep, match: [{src: "fd01::/64", dst: "fd02::100/121"}]}
      - {name: web, match: [{proto: tcp, dport: 80-90}, {proto: udp, dport: 443}]}
      - {name: high, match: [{proto: udp, sport: 1024-65535, dport: 5000-5003}]}
      - {name: sctp, match: [{proto: sctp}]}
      - {name: small, match: [{length: 0-120, proto: udp}]}
      - {name: tagged, match: [{vlan: 5-7}, {pcp: [3, 4]}]}
      - {name: late, match: [{dscp: ef}, {proto: tcp, src: 10.1.0.2}]}
      - {name: default}
)";

class Matching : public testing::Test {
  protected:
    static void SetUpTestSuite() { world = World::make({.policy = kRules}); }
    static void TearDownTestSuite() { world.reset(); }
    static std::unique_ptr<World> world;
};
std::unique_ptr<World> Matching::world;

template <class T> const T &pick(std::mt19937 &random, const std::vector<T> &list) {
    return list[random() % list.size()];
}

const std::vector<std::string> kV4Src{"10.1.0.2", "10.1.0.3", "10.9.0.1"};
const std::vector<std::string> kV4Dst{"10.2.0.2",   "10.2.0.127", "10.2.0.128", "10.2.0.191",
                                      "10.2.0.192", "10.2.0.255", "10.3.0.1"};
const std::vector<std::string> kV6Src{"fd01::2", "fd01:0:0:1::2", "fd09::1"};
const std::vector<std::string> kV6Dst{"fd02::2",   "fd02::100", "fd02::17f", "fd02::180",
                                      "fd02::1ff", "fd02::1:7", "fd03::1"};

FrameSpec random_frame(std::mt19937 &random) {
    FrameSpec spec;
    spec.family = pick(random, std::vector{4, 4, 6, 6, 0});
    spec.tags = pick(random, std::vector{0, 0, 0, 1, 2});
    spec.proto = pick(random, std::vector{Proto::tcp, Proto::udp, Proto::sctp, Proto::icmp});
    spec.tos = pick(random, std::vector<uint8_t>{0, 46 << 2, 40 << 2 | 2, 45 << 2 | 1});
    spec.sport = pick(random, std::vector<uint16_t>{1, 1023, 1024, 65535});
    spec.dport = pick(random, std::vector<uint16_t>{79, 80, 90, 91, 443, 4999, 5000, 5003, 5004});
    spec.payload = pick(random, std::vector<uint32_t>{0, 50, 58, 59, 78, 79, 400});
    spec.fragment = random() % 8 == 0;
    if (spec.family) {
        spec.src = pick(random, spec.family == 4 ? kV4Src : kV6Src);
        spec.dst = pick(random, spec.family == 4 ? kV4Dst : kV6Dst);
    }
    return spec;
}

// What `explain` would be told about this frame, from its bytes.
PacketKey key_of(const FrameSpec &spec, const Frame &frame) {
    PacketKey key;
    key.in = "lan";
    key.family = spec.family;
    key.proto = static_cast<uint8_t>(spec.proto);
    key.dscp = spec.tos >> 2;
    key.has_ports =
        !spec.fragment && (spec.proto == Proto::tcp || spec.proto == Proto::udp || spec.proto == Proto::sctp);
    key.sport = spec.sport;
    key.dport = spec.dport;
    key.length = static_cast<uint16_t>(frame.size() - 4 * static_cast<size_t>(spec.tags));
    if (spec.family) {
        inet_pton(spec.family == 4 ? AF_INET : AF_INET6, spec.src.c_str(), key.src.data());
        inet_pton(spec.family == 4 ? AF_INET : AF_INET6, spec.dst.c_str(), key.dst.data());
    }
    if (spec.tags) {
        const unsigned tci = frame[14] << 8 | frame[15];
        key.vlan = tci & 0xfff;
        key.pcp = static_cast<uint8_t>(tci >> 13);
    }
    return key;
}

// Sets the outermost tag.
void tag(Frame &frame, unsigned vlan, unsigned pcp) {
    frame[14] = static_cast<uint8_t>(pcp << 5 | vlan >> 8);
    frame[15] = static_cast<uint8_t>(vlan);
}

uint64_t counted(World &world, uint32_t class_id) {
    uint64_t sum = 0;
    for (uint32_t cpu = 0; cpu < world.maps().cpus; cpu++)
        for (uint64_t n : world.maps().class_count(world.dataplane->class_base() + class_id, cpu).outcome)
            sum += n;
    return sum;
}

TEST_F(Matching, TheWrittenPolicyAndTheCompiledOneAgree) {
    ASSERT_TRUE(world);
    const auto loaded = load_policy_text(
        std::string("version: 1\nports:\n  lan: {device: fast}\n  wan: {device: slow}\n") + kRules, "p.yaml");
    ASSERT_TRUE(loaded.policy) << format(loaded.diagnostics.at(0));
    const CompiledPolicy compiled = compile(*loaded.policy);
    const Transition &transition = compiled.source.transitions[0];
    std::mt19937 random(20261123);
    std::vector<unsigned> seen(transition.classes.size()), tenants(4);
    for (int i = 0; i < 4000; i++) {
        const FrameSpec spec = random_frame(random);
        Frame frame = build(spec);
        if (spec.tags)
            tag(frame, pick(random, std::vector{4u, 5u, 7u, 8u}),
                pick(random, std::vector{0u, 2u, 3u, 4u, 7u}));
        const MatchResult expected = match(transition, key_of(spec, frame));
        const uint32_t class_id = compiled.transitions[0].class_id(expected.tenant, expected.class_index);
        const uint64_t before = counted(*world, class_id);
        world->reset();
        world->run(frame);
        ASSERT_EQ(counted(*world, class_id), before + 1)
            << "frame " << i << ": family " << spec.family << " tags " << spec.tags << " " << spec.src
            << " > " << spec.dst << " proto " << int(spec.proto) << " tos " << int(spec.tos) << " ports "
            << spec.sport << " " << spec.dport << " bytes " << frame.size() << " fragment " << spec.fragment
            << "; explain says class " << transition.classes[expected.class_index].name << " tenant "
            << expected.tenant;
        seen[expected.class_index]++;
        tenants[expected.tenant]++;
    }
    for (size_t c = 0; c < seen.size(); c++)
        EXPECT_GT(seen[c], 10u) << transition.classes[c].name << " was hardly tried";
    for (size_t t = 0; t < tenants.size(); t++)
        EXPECT_GT(tenants[t], 100u) << "tenant " << t;
}

TEST(MatchLine, NamesTheMatchThatHeld) {
    const auto loaded = load_policy_text("version: 1\n"
                                         "ports:\n"
                                         "  lan: {device: a}\n"
                                         "  wan: {device: b}\n"
                                         "transitions:\n"
                                         "  - from: [lan]\n"
                                         "    to: wan\n"
                                         "    classes:\n"
                                         "      - name: web\n"
                                         "        match:\n"
                                         "          - {proto: tcp, dport: 80}\n"
                                         "          - {proto: udp, dport: 443}\n"
                                         "      - name: default\n",
                                         "p.yaml");
    ASSERT_TRUE(loaded.policy);
    const Transition &t = loaded.policy->transitions[0];
    PacketKey key;
    key.proto = 17;
    key.has_ports = true;
    key.dport = 443;
    EXPECT_EQ(match(t, key).pos.line, 12);
    key.dport = 444;
    EXPECT_TRUE(match(t, key).by_default);
    EXPECT_EQ(match(t, key).pos.line, 13);
}

} // namespace
} // namespace sluice::progrun
