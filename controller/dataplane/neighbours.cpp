#include "dataplane/neighbours.hpp"

#include <cerrno>
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

} // namespace sluice
