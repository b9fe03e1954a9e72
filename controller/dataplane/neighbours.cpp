#include "dataplane/neighbours.hpp"

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

namespace sluice {

Result<> want_neighbour(Netlink &netlink, uint32_t ifindex, const Prefix &address) {
    NetlinkRequest request(RTM_NEWNEIGH, NLM_F_CREATE);
    auto *entry = request.family<ndmsg>();
    entry->ndm_family = address.family == 4 ? AF_INET : AF_INET6;
    entry->ndm_ifindex = static_cast<int>(ifindex);
    entry->ndm_state = NUD_NONE;
    entry->ndm_flags = NTF_USE;
    mnl_attr_put(request.header(), NDA_DST, address.family == 4 ? 4 : 16, address.address.data());
    if (const int err = netlink.ask(request, [](const nlmsghdr *) {}))
        return fail_errno(err, "look for the router behind interface " + std::to_string(ifindex));
    return {};
}

} // namespace sluice
