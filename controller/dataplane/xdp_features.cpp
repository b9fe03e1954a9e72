#include "dataplane/xdp_features.hpp"

#include <cerrno>
#include <cstring>
#include <linux/genetlink.h>

namespace sluice {
namespace {

constexpr uint8_t kDevGet = 1;                           // NETDEV_CMD_DEV_GET
constexpr uint16_t kDevIfindex = 1, kDevXdpFeatures = 3; // NETDEV_A_DEV_*

uint32_t group_of(const nlattr *groups, const char *wanted) {
    uint32_t found = 0;
    for_each_nested(groups, [&](const nlattr *group) {
        const char *name = "";
        uint32_t id = 0;
        for_each_nested(group, [&](const nlattr *attr) {
            if (mnl_attr_get_type(attr) == CTRL_ATTR_MCAST_GRP_NAME)
                name = mnl_attr_get_str(attr);
            if (mnl_attr_get_type(attr) == CTRL_ATTR_MCAST_GRP_ID)
                id = mnl_attr_get_u32(attr);
        });
        if (std::strcmp(name, wanted) == 0)
            found = id;
    });
    return found;
}

} // namespace

Result<std::optional<GenericFamily>> generic_family(Netlink &netlink, const char *name, const char *group) {
    NetlinkRequest request(GENL_ID_CTRL, 0);
    auto *header = request.family<genlmsghdr>();
    header->cmd = CTRL_CMD_GETFAMILY;
    header->version = 1;
    mnl_attr_put_strz(request.header(), CTRL_ATTR_FAMILY_NAME, name);
    GenericFamily family;
    const int err = netlink.ask(request, [&](const nlmsghdr *m) {
        for_each_attribute(m, sizeof(genlmsghdr), [&](const nlattr *attr) {
            if (mnl_attr_get_type(attr) == CTRL_ATTR_FAMILY_ID)
                family.id = mnl_attr_get_u16(attr);
            if (mnl_attr_get_type(attr) == CTRL_ATTR_MCAST_GROUPS)
                family.group = group_of(attr, group);
        });
    });
    if (err == ENOENT)
        return std::nullopt;
    if (err)
        return fail_errno(err, std::string("ask for netlink family ") + name);
    return family;
}

Result<std::optional<uint64_t>> xdp_features(uint32_t ifindex) {
    auto netlink = Netlink::open(NETLINK_GENERIC);
    if (!netlink)
        return tl::unexpected(netlink.error());
    const auto family = generic_family(*netlink, "netdev", "mgmt");
    if (!family)
        return tl::unexpected(family.error());
    if (!*family)
        return std::nullopt;
    NetlinkRequest request((*family)->id, 0);
    auto *header = request.family<genlmsghdr>();
    header->cmd = kDevGet;
    header->version = 1;
    mnl_attr_put_u32(request.header(), kDevIfindex, ifindex);
    std::optional<uint64_t> features;
    const int err = netlink->ask(request, [&](const nlmsghdr *m) {
        for_each_attribute(m, sizeof(genlmsghdr), [&](const nlattr *attr) {
            if (mnl_attr_get_type(attr) == kDevXdpFeatures)
                features = mnl_attr_get_u64(attr);
        });
    });
    if (err && err != ENODEV)
        return fail_errno(err, "ask for the XDP features of interface " + std::to_string(ifindex));
    return features;
}

} // namespace sluice
