// What sluicectl says of an interface before anything is attached, from what the kernel answered.
#include "dataplane/preflight.hpp"

#include <gtest/gtest.h>

#include "cli/features_format.hpp"
#include "dataplane/driver_traits.hpp"
#include "dataplane/port_health.hpp"
#include "dataplane/xdp_features.hpp"

namespace sluice {
namespace {

Preflight interface(const char *driver, Ability native, Ability xmit) {
    Preflight p;
    p.dev.name = "eth7";
    p.dev.driver = driver;
    p.dev.mtu = 1500;
    p.dev.up = p.dev.carrier = true;
    p.native = native;
    p.xmit = xmit;
    p.reader = SLUICE_READER_VETH;
    p.trust = SLUICE_TRUST_EXACT;
    p.linear_mtu = driver_traits(driver).linear_mtu;
    return p;
}

bool says(const std::vector<Finding> &findings, const char *what, const char *cure) {
    for (const auto &f : findings)
        if (f.what.find(what) != std::string::npos && f.cure.find(cure) != std::string::npos)
            return true;
    return false;
}

bool hurts(const std::vector<Finding> &findings) {
    for (const auto &f : findings)
        if (f.hurts)
            return true;
    return false;
}

TEST(Preflight, a_good_port_has_nothing_to_say) {
    const Preflight p = interface("mlx5_core", Ability::yes, Ability::yes);
    EXPECT_TRUE(receive_findings(p).empty());
    EXPECT_TRUE(transmit_findings(p).empty());
}

TEST(Preflight, a_veth_that_would_lose_every_frame_names_the_cure) {
    const auto found = transmit_findings(interface("veth", Ability::yes, Ability::no));
    EXPECT_TRUE(says(found, "eth7 takes no redirected frames", "gro on"));
    EXPECT_TRUE(hurts(found));
}

TEST(Preflight, a_driver_that_wants_a_program_gets_one_and_is_not_degraded) {
    EXPECT_TRUE(driver_traits("ixgbe").wants_program);
    EXPECT_TRUE(driver_traits("virtio_net").wants_program);
    EXPECT_FALSE(driver_traits("veth").wants_program);
    const auto found = transmit_findings(interface("ixgbe", Ability::yes, Ability::with_program));
    EXPECT_TRUE(says(found, "only while an XDP program is attached", "sluiced attaches one"));
    EXPECT_FALSE(hurts(found));
}

TEST(Preflight, an_mtu_above_the_limit_names_both_and_three_ways_out) {
    Preflight p = interface("ixgbe", Ability::yes, Ability::yes);
    p.dev.mtu = 3050;
    EXPECT_TRUE(receive_findings(p).empty());
    p.dev.mtu = 9000;
    const auto found = receive_findings(p);
    EXPECT_TRUE(says(found, "MTU 9000 of eth7", "ip link set eth7 mtu 3050"));
    EXPECT_TRUE(says(found, "3050", "generic mode"));
    EXPECT_TRUE(says(found, "3050", "multi-buffer"));
    p.frags = true;
    EXPECT_TRUE(receive_findings(p).empty()) << "a driver with multi-buffer XDP takes it";
}

TEST(Preflight, the_members_of_a_bridge_are_the_cure_for_the_bridge) {
    Preflight p = interface("bridge", Ability::no, Ability::no);
    p.dev.kind = "bridge";
    EXPECT_TRUE(says(receive_findings(p), "no native XDP", "members of eth7"));
}

TEST(Preflight, tags_that_xdp_cannot_see_hurt_where_they_matter) {
    PortFacts facts;
    facts.preflight = interface("ixgbe", Ability::yes, Ability::yes);
    facts.dev = facts.preflight.dev;
    facts.xdp_mode = "native";
    Port port;
    port.device = "eth7";
    EXPECT_EQ(port_health(facts, port, {.from = true, .wire = true}), "");
    facts.preflight.strips_tags = true;
    EXPECT_TRUE(says(receive_findings(facts.preflight), "takes VLAN tags out", "ethtool -K eth7 rxvlan off"));
    EXPECT_FALSE(hurts(receive_findings(facts.preflight)))
        << "where nobody sends tags there is nothing to cure";
    EXPECT_EQ(port_health(facts, port, {.from = true}), "");
    EXPECT_NE(port_health(facts, port, {.from = true, .wire = true}).find("rxvlan off"), std::string::npos);
    facts.has_vlans = true;
    EXPECT_NE(port_health(facts, port, {.from = true}).find("rxvlan off"), std::string::npos);
    EXPECT_EQ(port_health(facts, port, {}), "");
}

TEST(Preflight, a_port_whose_frames_come_by_generic_xdp_needs_a_rate) {
    PortFacts facts;
    facts.preflight = interface("veth", Ability::yes, Ability::yes);
    facts.dev = facts.preflight.dev;
    facts.trust = SLUICE_TRUST_EXACT;
    Port port;
    port.device = "eth7";
    EXPECT_EQ(port_health(facts, port, {.to = true}), "");
    EXPECT_NE(port_health(facts, port, {.to = true, .unheard = true}).find("give the port a rate"),
              std::string::npos);
    port.rate_bytes_per_s = 1'000'000;
    EXPECT_EQ(port_health(facts, port, {.to = true, .unheard = true}), "");
}

TEST(Preflight, tc_ingress_is_slow_and_knows_few_ways) {
    PortFacts facts;
    facts.preflight = interface("veth", Ability::yes, Ability::yes);
    facts.preflight.strips_tags = true; // which tc ingress does not mind
    facts.dev = facts.preflight.dev;
    facts.xdp_mode = "tc";
    facts.xdp_refused = "no room";
    Port port;
    port.device = "eth7";
    EXPECT_NE(port_health(facts, port, {.from = true, .wire = true}).find("slow: no room"),
              std::string::npos);
    port.xdp = XdpChoice::tc;
    EXPECT_EQ(port_health(facts, port, {.from = true, .wire = true}), "");
    EXPECT_NE(port_health(facts, port, {.from = true, .ways = true}).find("only mark and drop"),
              std::string::npos);
}

TEST(Preflight, links_that_are_down_or_without_carrier) {
    Preflight p = interface("mlx5_core", Ability::yes, Ability::yes);
    p.dev.carrier = false;
    EXPECT_TRUE(says(transmit_findings(p), "no carrier", ""));
    p.dev.up = false;
    EXPECT_TRUE(says(transmit_findings(p), "is down", "ip link set eth7 up"));
}

TEST(Features, table_and_notes) {
    KernelSupport kernel;
    kernel.release = "6.18.0";
    Preflight p = interface("veth", Ability::yes, Ability::no);
    p.rings = RingSizes{256, 512, 4096, 4096};
    p.channels = Channels{0, 0, 4};
    p.speed_bits_per_s = 1'000'000'000;
    const std::string text = format_features(kernel, {p});
    EXPECT_NE(text.find("kernel 6.18.0 supported"), std::string::npos) << text;
    EXPECT_NE(
        text.find(
            "eth7    veth    native  no              veth exact   256/512      4         1Gbit  1500/3506"),
        std::string::npos)
        << text;
    EXPECT_NE(text.find("eth7 as to: eth7 takes no redirected frames"), std::string::npos) << text;
    EXPECT_NE(text.find("-> ethtool -K PEER gro on"), std::string::npos) << text;
}

TEST(Features, an_unsupported_kernel_says_what_is_missing) {
    KernelSupport kernel;
    kernel.release = "5.4.0";
    kernel.missing = {"type information"};
    EXPECT_FALSE(kernel.supported());
    const std::string text = format_features(kernel, {});
    EXPECT_NE(text.find("NOT SUPPORTED"), std::string::npos);
    EXPECT_NE(text.find("missing: type information"), std::string::npos);
}

} // namespace
} // namespace sluice
