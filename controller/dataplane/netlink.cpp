#include "dataplane/netlink.hpp"

#include <cerrno>
#include <sys/socket.h>

namespace sluice {
namespace {

int call(const nlmsghdr *message, void *on_message) {
    (*static_cast<const Netlink::OnMessage *>(on_message))(message);
    return MNL_CB_OK;
}

} // namespace

NetlinkRequest::NetlinkRequest(uint16_t type, uint16_t flags)
    : header_(mnl_nlmsg_put_header(buffer_.data())) {
    header_->nlmsg_type = type;
    header_->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
}

Result<Netlink> Netlink::open(int bus) {
    Netlink netlink(mnl_socket_open2(bus, SOCK_CLOEXEC));
    if (!netlink.socket_ || mnl_socket_bind(netlink.socket_.get(), 0, MNL_SOCKET_AUTOPID) != 0)
        return fail_errno(errno, "open a netlink socket",
                          "a sandbox must allow AF_NETLINK: RestrictAddressFamilies= of the unit");
    return netlink;
}

int Netlink::ask(NetlinkRequest &request, const OnMessage &on_message) {
    request.header()->nlmsg_seq = ++sequence_;
    if (mnl_socket_sendto(socket_.get(), request.header(), request.header()->nlmsg_len) < 0)
        return errno;
    for (int more = MNL_CB_OK; more > MNL_CB_STOP;) {
        const ssize_t length = mnl_socket_recvfrom(socket_.get(), buffer_.data(), buffer_.size());
        if (length < 0)
            return errno;
        more = mnl_cb_run(buffer_.data(), static_cast<size_t>(length), sequence_,
                          mnl_socket_get_portid(socket_.get()), call, const_cast<OnMessage *>(&on_message));
        if (more < 0)
            return errno;
    }
    return 0;
}

int Netlink::join(uint32_t group) {
    int value = static_cast<int>(group);
    return mnl_socket_setsockopt(socket_.get(), NETLINK_ADD_MEMBERSHIP, &value, sizeof(value)) ? errno : 0;
}

int Netlink::hear(const OnMessage &on_message) {
    const ssize_t length = recv(fd(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (length < 0)
        return errno;
    // Notifications carry sequence and port 0: no check of either.
    return mnl_cb_run(buffer_.data(), static_cast<size_t>(length), 0, 0, call,
                      const_cast<OnMessage *>(&on_message)) < 0
               ? errno
               : 0;
}

} // namespace sluice
