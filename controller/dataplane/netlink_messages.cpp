#include "dataplane/netlink_messages.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <linux/gen_stats.h>
#include <linux/genetlink.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sluice/abi.h>

namespace sluice {
namespace {

constexpr uint32_t kLowerUp = 1 << 16;  // IFF_LOWER_UP of linux/if.h, which net/if.h does not go with
constexpr uint16_t kDevXdpFeatures = 3; // NETDEV_A_DEV_XDP_FEATURES

uint32_t xdp_prog_of(const nlattr *xdp) {
    uint32_t id = 0;
    for_each_nested(xdp, [&](const nlattr *attr) {
        if (mnl_attr_get_type(attr) == IFLA_XDP_PROG_ID)
            id = value_of<uint32_t>(attr);
    });
    return id;
}

uint32_t vlan_tag_of(const nlattr *data) {
    uint16_t id = 0, proto = 0;
    for_each_nested(data, [&](const nlattr *attr) {
        if (mnl_attr_get_type(attr) == IFLA_VLAN_ID)
            id = value_of<uint16_t>(attr);
        if (mnl_attr_get_type(attr) == IFLA_VLAN_PROTOCOL)
            proto = ntohs(value_of<uint16_t>(attr));
    });
    return SLUICE_TAG(proto, id);
}

// The kernel puts the kind first.
void read_info(Netdev &dev, const nlattr *info) {
    for_each_nested(info, [&](const nlattr *attr) {
        if (mnl_attr_get_type(attr) == IFLA_INFO_KIND)
            dev.kind = text_of(attr);
        if (mnl_attr_get_type(attr) == IFLA_INFO_DATA && dev.kind == "vlan")
            dev.vlan_tag = vlan_tag_of(attr);
    });
}

void read_attribute(Netdev &dev, const nlattr *attr) {
    switch (mnl_attr_get_type(attr)) {
    case IFLA_IFNAME:
        dev.name = text_of(attr);
        break;
    case IFLA_LINK:
        dev.lower = value_of<uint32_t>(attr);
        break;
    case IFLA_MTU:
        dev.mtu = value_of<uint32_t>(attr);
        break;
    case IFLA_ADDRESS:
        dev.mac = value_of<decltype(dev.mac)>(attr);
        break;
    case IFLA_LINKINFO:
        read_info(dev, attr);
        break;
    case IFLA_MASTER:
        dev.master = value_of<uint32_t>(attr);
        break;
    case IFLA_XDP:
        dev.xdp_prog = xdp_prog_of(attr);
        break;
    default:
        break;
    }
}

uint32_t group_of(const nlattr *groups, const std::string &wanted) {
    uint32_t found = 0;
    for_each_nested(groups, [&](const nlattr *group) {
        std::string name;
        uint32_t id = 0;
        for_each_nested(group, [&](const nlattr *attr) {
            if (mnl_attr_get_type(attr) == CTRL_ATTR_MCAST_GRP_NAME)
                name = text_of(attr);
            if (mnl_attr_get_type(attr) == CTRL_ATTR_MCAST_GRP_ID)
                id = value_of<uint32_t>(attr);
        });
        if (name == wanted)
            found = id;
    });
    return found;
}

void read_stats(const nlattr *a, QdiscStats &out) {
    if (mnl_attr_get_type(a) == TCA_STATS_BASIC) {
        const auto basic = value_of<gnet_stats_basic>(a);
        out.sent_bytes = basic.bytes;
        out.sent_packets = basic.packets;
    } else if (mnl_attr_get_type(a) == TCA_STATS_QUEUE) {
        const auto queue = value_of<gnet_stats_queue>(a);
        out.waiting_packets = queue.qlen;
        out.waiting_bytes = queue.backlog;
        out.drops = queue.drops;
    }
}

} // namespace

Netdev netdev_of(const nlmsghdr *message) {
    const auto link = header_of<ifinfomsg>(message);
    Netdev dev;
    dev.ifindex = static_cast<uint32_t>(link.ifi_index);
    dev.up = (link.ifi_flags & IFF_UP) != 0;
    dev.carrier = (link.ifi_flags & kLowerUp) != 0;
    bool below_is_elsewhere = false;
    for_each_attribute(message, sizeof(link), [&](const nlattr *attr) {
        read_attribute(dev, attr);
        below_is_elsewhere |= mnl_attr_get_type(attr) == IFLA_LINK_NETNSID;
    });
    if (!dev.vlan_tag || below_is_elsewhere)
        dev.lower = 0;
    return dev;
}

GenericFamily family_of(const nlmsghdr *message, const std::string &group) {
    GenericFamily family;
    for_each_attribute(message, sizeof(genlmsghdr), [&](const nlattr *attr) {
        if (mnl_attr_get_type(attr) == CTRL_ATTR_FAMILY_ID)
            family.id = value_of<uint16_t>(attr);
        if (mnl_attr_get_type(attr) == CTRL_ATTR_MCAST_GROUPS)
            family.group = group_of(attr, group);
    });
    return family;
}

std::optional<uint64_t> xdp_features_of(const nlmsghdr *message) {
    std::optional<uint64_t> features;
    for_each_attribute(message, sizeof(genlmsghdr), [&](const nlattr *attr) {
        if (mnl_attr_get_type(attr) == kDevXdpFeatures)
            features = value_of<uint64_t>(attr);
    });
    return features;
}

RootQdisc qdisc_of(const nlmsghdr *message) {
    RootQdisc found;
    found.handle = header_of<tcmsg>(message).tcm_handle;
    for_each_attribute(message, sizeof(tcmsg), [&](const nlattr *a) {
        if (mnl_attr_get_type(a) == TCA_KIND)
            found.kind = text_of(a);
        else if (mnl_attr_get_type(a) == TCA_STATS2)
            for_each_nested(a, [&](const nlattr *stats) { read_stats(stats, found.stats); });
    });
    return found;
}

bool concerns(const nlmsghdr *message, const WatchedDevices &watched) {
    if (message->nlmsg_type == RTM_NEWQDISC || message->nlmsg_type == RTM_DELQDISC)
        return watched.ifindexes.contains(static_cast<uint32_t>(header_of<tcmsg>(message).tcm_ifindex));
    if (message->nlmsg_type != RTM_NEWLINK && message->nlmsg_type != RTM_DELLINK)
        return false;
    const Netdev dev = netdev_of(message);
    return (dev.vlan_tag && !watched.names.empty()) || watched.ifindexes.contains(dev.ifindex) ||
           watched.names.contains(dev.name);
}

} // namespace sluice
