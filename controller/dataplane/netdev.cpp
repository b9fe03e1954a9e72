#include "dataplane/netdev.hpp"

#include <algorithm>
#include <cerrno>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/stat.h>

#include "dataplane/ethtool.hpp"
#include "dataplane/netlink_messages.hpp"

namespace sluice {
namespace {

NetlinkRequest link_request(uint16_t flags) {
    return {RTM_GETLINK, flags};
}

Result<std::vector<Netdev>> ask_links(NetlinkRequest &request, const std::string &what) {
    auto netlink = Netlink::open(NETLINK_ROUTE);
    if (!netlink)
        return tl::unexpected(netlink.error());
    mnl_attr_put_u32(request.header(), IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
    std::vector<Netdev> found;
    const int err = netlink->ask(request, [&](const nlmsghdr *m) {
        if (m->nlmsg_type == RTM_NEWLINK)
            found.push_back(netdev_of(m));
    });
    if (err == ENODEV)
        return std::vector<Netdev>{};
    if (err)
        return fail_errno(err, "ask the kernel about " + what);
    return found;
}

std::vector<Netdev> with_drivers(std::vector<Netdev> found) {
    for (auto &dev : found)
        dev.driver = driver_of(dev.name);
    return found;
}

std::optional<Netdev> only(const std::vector<Netdev> &found) {
    return found.empty() ? std::nullopt : std::optional(with_drivers(found).front());
}

} // namespace

Result<std::optional<Netdev>> find_netdev(const std::string &name) {
    NetlinkRequest request = link_request(0);
    request.family<ifinfomsg>();
    // The kernel looks through names and alternative names alike; only the latter may be long.
    mnl_attr_put_strz(request.header(), name.size() < IFNAMSIZ ? IFLA_IFNAME : IFLA_ALT_IFNAME, name.c_str());
    return ask_links(request, name).map(only);
}

Result<std::optional<Netdev>> find_netdev(uint32_t ifindex) {
    NetlinkRequest request = link_request(0);
    request.family<ifinfomsg>()->ifi_index = static_cast<int>(ifindex);
    return ask_links(request, "interface " + std::to_string(ifindex)).map(only);
}

Result<std::vector<Netdev>> list_netdevs() {
    NetlinkRequest request = link_request(NLM_F_DUMP);
    request.family<ifinfomsg>();
    return ask_links(request, "its interfaces").map([](std::vector<Netdev> all) {
        std::erase_if(all, [](const Netdev &dev) { return dev.name == "lo"; });
        return with_drivers(std::move(all));
    });
}

Result<std::vector<Netdev>> list_vlans() {
    NetlinkRequest request = link_request(NLM_F_DUMP);
    request.family<ifinfomsg>();
    // A kernel that has no VLANs at all does not know the kind, and lists everything.
    nlattr *info = mnl_attr_nest_start(request.header(), IFLA_LINKINFO);
    mnl_attr_put_strz(request.header(), IFLA_INFO_KIND, "vlan");
    mnl_attr_nest_end(request.header(), info);
    return ask_links(request, "its VLAN interfaces").map([](std::vector<Netdev> all) {
        std::erase_if(all, [](const Netdev &dev) { return !dev.vlan_tag; });
        return all;
    });
}

Result<Netdev> query_netdev(const std::string &name) {
    auto found = find_netdev(name);
    if (!found)
        return tl::unexpected(found.error());
    if (!*found)
        return fail_errno(ENODEV, "interface " + name,
                          "check the name with `ip link`, and the network namespace");
    return **found;
}

Result<uint32_t> this_netns() {
    struct stat netns {};
    if (stat("/proc/self/ns/net", &netns) != 0)
        return fail_errno(errno, "stat /proc/self/ns/net", "mount /proc");
    return static_cast<uint32_t>(netns.st_ino);
}

} // namespace sluice
