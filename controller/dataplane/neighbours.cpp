#include "dataplane/neighbours.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

namespace sluice {
namespace {

ndmsg &address_to(NetlinkRequest &request, uint32_t ifindex, const Prefix &address) {
    auto *entry = request.family<ndmsg>();
    entry->ndm_family = address.family == 4 ? AF_INET : AF_INET6;
    entry->ndm_ifindex = static_cast<int>(ifindex);
    mnl_attr_put(request.header(), NDA_DST, address.family == 4 ? 4 : 16, address.address.data());
    return *entry;
}

// NUD_* bits; NUD_NONE: there is no such entry.
Result<uint16_t> state_of(Netlink &netlink, uint32_t ifindex, const Prefix &address) {
    NetlinkRequest request(RTM_GETNEIGH, 0);
    address_to(request, ifindex, address);
    uint16_t state = NUD_NONE;
    const int err = netlink.ask(request, [&](const nlmsghdr *message) {
        if (message->nlmsg_type == RTM_NEWNEIGH)
            state = static_cast<const ndmsg *>(mnl_nlmsg_get_payload(message))->ndm_state;
    });
    if (err && err != ENOENT)
        return fail_errno(err, "ask for a neighbour of interface " + std::to_string(ifindex));
    return state;
}

// Addresses of documentation (RFC 5737, RFC 3849): who has a route of its own for them has no use for one.
constexpr std::array<uint8_t, 16> kAnywhere4{192, 0, 2, 1}, kAnywhere6{0x20, 0x01, 0x0d, 0xb8};

} // namespace

Result<> want_neighbour(Netlink &netlink, uint32_t ifindex, const Prefix &address) {
    const auto state = state_of(netlink, ifindex, address);
    if (!state)
        return tl::unexpected(state.error());
    // The kernel, asked to use a permanent entry, makes an ordinary one of it.
    if (*state & ~(NUD_STALE | NUD_FAILED))
        return {};
    NetlinkRequest request(RTM_NEWNEIGH, NLM_F_CREATE);
    address_to(request, ifindex, address).ndm_flags = NTF_USE;
    if (const int err = netlink.ask(request, [](const nlmsghdr *) {}))
        return fail_errno(err, "look for the router behind interface " + std::to_string(ifindex));
    return {};
}

Result<std::optional<Prefix>> default_router(Netlink &netlink, uint32_t ifindex, int family) {
    const uint8_t bytes = family == 4 ? 4 : 16;
    NetlinkRequest request(RTM_GETROUTE, 0);
    auto *route = request.family<rtmsg>();
    route->rtm_family = family == 4 ? AF_INET : AF_INET6;
    route->rtm_dst_len = static_cast<uint8_t>(8 * bytes);
    mnl_attr_put(request.header(), RTA_DST, bytes, (family == 4 ? kAnywhere4 : kAnywhere6).data());
    mnl_attr_put_u32(request.header(), RTA_OIF, ifindex);
    std::optional<Prefix> router;
    const int err = netlink.ask(request, [&](const nlmsghdr *message) {
        for_each_attribute(message, sizeof(rtmsg), [&](const nlattr *attr) {
            if (mnl_attr_get_type(attr) == RTA_GATEWAY && mnl_attr_get_payload_len(attr) == bytes) {
                router.emplace();
                router->family = family;
                router->length = 8 * bytes;
                std::memcpy(router->address.data(), mnl_attr_get_payload(attr), bytes);
            }
        });
    });
    if (err && err != ENETUNREACH && err != EHOSTUNREACH)
        return fail_errno(err, "ask for the default route by interface " + std::to_string(ifindex));
    return router;
}

} // namespace sluice
