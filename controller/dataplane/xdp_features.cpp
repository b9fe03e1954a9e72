#include "dataplane/xdp_features.hpp"

#include <cerrno>
#include <linux/genetlink.h>

namespace sluice {
namespace {

constexpr uint8_t kDevGet = 1;      // NETDEV_CMD_DEV_GET
constexpr uint16_t kDevIfindex = 1; // NETDEV_A_DEV_IFINDEX

} // namespace

Result<std::optional<GenericFamily>> generic_family(Netlink &netlink, const char *name, const char *group) {
    NetlinkRequest request(GENL_ID_CTRL, 0);
    auto *header = request.family<genlmsghdr>();
    header->cmd = CTRL_CMD_GETFAMILY;
    header->version = 1;
    mnl_attr_put_strz(request.header(), CTRL_ATTR_FAMILY_NAME, name);
    GenericFamily family;
    const int err = netlink.ask(request, [&](const nlmsghdr *m) { family = family_of(m, group); });
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
    const int err = netlink->ask(request, [&](const nlmsghdr *m) { features = xdp_features_of(m); });
    if (err && err != ENODEV)
        return fail_errno(err, "ask for the XDP features of interface " + std::to_string(ifindex));
    return features;
}

} // namespace sluice
