// Which VLAN interfaces `forward: fib` routes from and to.
#include "dataplane/vlans.hpp"

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include "dataplane/netlink_messages.hpp"

namespace sluice {
namespace {

constexpr uint32_t kLan = 3, kWan = 4; // interface indices
constexpr std::array<uint8_t, 6> kMac{2, 0, 0, 0, 0, 1}, kOtherMac{2, 0, 0, 0, 0, 2};
constexpr uint32_t kTag7 = SLUICE_TAG(0x8100, 7), kTag100 = SLUICE_TAG(0x88a8, 100);

PortFacts port(uint32_t ifindex) {
    PortFacts facts;
    facts.dev.ifindex = ifindex;
    facts.dev.mac = kMac;
    return facts;
}

Netdev vlan(uint32_t ifindex, uint32_t lower, uint32_t tag) {
    Netdev dev;
    dev.ifindex = ifindex;
    dev.lower = lower;
    dev.vlan_tag = tag;
    dev.mac = kMac;
    dev.up = true;
    return dev;
}

std::string places(const std::vector<Netdev> &vlans) {
    std::string out;
    for (const auto &[from, to] : vlan_places(vlans, {port(kLan), port(kWan)})) {
        const auto one = [](const sluice_place &p) {
            return std::to_string(p.ifindex) + (p.tags ? "." + std::to_string(p.tags & 0xfff) : "") +
                   (p.tags >> 16 ? "." + std::to_string(p.tags >> 16 & 0xfff) : "");
        };
        out += (out.empty() ? "" : ", ") + one(from) + " to " + one(to);
    }
    return out;
}

TEST(Vlans, one_on_a_port_is_known_in_both_directions) {
    EXPECT_EQ(places({vlan(10, kLan, kTag7)}), "3.7 to 10, 10 to 3.7");
    EXPECT_EQ(places({vlan(10, kLan, kTag7), vlan(11, kWan, kTag7)}),
              "3.7 to 10, 4.7 to 11, 10 to 3.7, 11 to 4.7");
    EXPECT_EQ(places({}), "");
}

TEST(Vlans, one_in_another_has_both_tags) {
    EXPECT_EQ(places({vlan(12, 11, kTag7), vlan(11, kLan, kTag100)}),
              "3.100 to 11, 3.100.7 to 12, 11 to 3.100, 12 to 3.100.7");
}

TEST(Vlans, a_port_may_be_one_itself) {
    EXPECT_EQ(places({vlan(kLan, 99, kTag100), vlan(10, kLan, kTag7)}), "3.7 to 10, 10 to 3.7");
}

TEST(Vlans, those_on_other_interfaces_are_not_ours) {
    EXPECT_EQ(places({vlan(10, 99, kTag7)}), "");
    EXPECT_EQ(places({vlan(10, 0, kTag7)}), "") << "the device below is in another namespace";
    PortFacts gone = port(kLan);
    gone.missing = true;
    EXPECT_TRUE(vlan_places({vlan(10, kLan, kTag7)}, {gone}).empty());
}

TEST(Vlans, those_that_the_kernel_would_not_route_by_are_left_out) {
    Netdev down = vlan(10, kLan, kTag7), bridged = down;
    down.up = false;
    bridged.master = 20;
    EXPECT_EQ(places({down}), "");
    EXPECT_EQ(places({bridged}), "");
    Netdev outer = vlan(11, kLan, kTag100);
    outer.up = false;
    EXPECT_EQ(places({outer, vlan(12, 11, kTag7)}), "");
}

TEST(Vlans, three_tags_are_one_too_many) {
    EXPECT_EQ(places({vlan(11, kLan, kTag100), vlan(12, 11, kTag7), vlan(13, 12, kTag7)}),
              "3.100 to 11, 3.100.7 to 12, 11 to 3.100, 12 to 3.100.7");
}

// The program compares with the port's own address only.
TEST(Vlans, another_mac_address_is_routed_to_but_not_from) {
    Netdev dev = vlan(10, kLan, kTag7);
    dev.mac = kOtherMac;
    EXPECT_EQ(places({dev}), "10 to 3.7");
}

struct LinkMessage {
    NetlinkRequest request{RTM_NEWLINK, 0};
    explicit LinkMessage(const char *kind) {
        request.family<ifinfomsg>()->ifi_index = 10;
        mnl_attr_put_u32(request.header(), IFLA_LINK, kLan);
        nlattr *info = mnl_attr_nest_start(request.header(), IFLA_LINKINFO);
        mnl_attr_put_strz(request.header(), IFLA_INFO_KIND, kind);
        nlattr *data = mnl_attr_nest_start(request.header(), IFLA_INFO_DATA);
        mnl_attr_put_u16(request.header(), IFLA_VLAN_ID, 100);
        mnl_attr_put_u16(request.header(), IFLA_VLAN_PROTOCOL, htons(0x88a8));
        mnl_attr_nest_end(request.header(), data);
        mnl_attr_nest_end(request.header(), info);
    }
};

TEST(Vlans, the_kernel_says_what_is_below_and_which_tag) {
    LinkMessage message("vlan");
    mnl_attr_put_u32(message.request.header(), IFLA_MASTER, 20);
    const Netdev dev = netdev_of(message.request.header());
    EXPECT_EQ(dev.kind, "vlan");
    EXPECT_EQ(dev.vlan_tag, kTag100);
    EXPECT_EQ(dev.lower, kLan);
    EXPECT_EQ(dev.master, 20u);
    EXPECT_TRUE(concerns(message.request.header(), {{kLan}, {"lan0"}}));
}

TEST(Vlans, a_device_below_in_another_namespace_is_none) {
    LinkMessage message("vlan");
    mnl_attr_put_u32(message.request.header(), IFLA_LINK_NETNSID, 1);
    EXPECT_EQ(netdev_of(message.request.header()).lower, 0u);
}

// A veth's IFLA_LINK is its peer.
TEST(Vlans, other_kinds_have_no_tag) {
    LinkMessage message("veth");
    const Netdev dev = netdev_of(message.request.header());
    EXPECT_EQ(dev.vlan_tag, 0u);
    EXPECT_EQ(dev.lower, 0u);
    EXPECT_FALSE(concerns(message.request.header(), {{kLan}, {"lan0"}}));
}

} // namespace
} // namespace sluice
