// One netlink socket (libmnl): questions with their answers, and notifications.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <libmnl/libmnl.h>

#include "core/result.hpp"

namespace sluice {

// A request with room for a handful of attributes; they are added with mnl_attr_put_*().
class NetlinkRequest {
  public:
    NetlinkRequest(uint16_t type, uint16_t flags);
    nlmsghdr *header() { return header_; }
    // The header of the family that follows nlmsghdr, zeroed.
    template <class T> T *family() {
        return static_cast<T *>(mnl_nlmsg_put_extra_header(header_, sizeof(T)));
    }

  private:
    alignas(nlmsghdr) std::array<char, 512> buffer_{};
    nlmsghdr *header_;
};

class Netlink {
  public:
    // `bus`: NETLINK_ROUTE, NETLINK_GENERIC, ...
    static Result<Netlink> open(int bus);

    using OnMessage = std::function<void(const nlmsghdr *)>;
    // Sends the request and hears its answers to their end. 0, or the errno that the kernel answered.
    int ask(NetlinkRequest &request, const OnMessage &on_message);

    // 0, or errno.
    int join(uint32_t group);
    // Never waits. 0 when something was heard, EAGAIN when there was nothing, ENOBUFS when the kernel had to
    // forget notifications: whoever listens must look for himself.
    int hear(const OnMessage &on_message);
    int fd() const { return mnl_socket_get_fd(socket_.get()); }

  private:
    struct Closer {
        void operator()(mnl_socket *socket) const { mnl_socket_close(socket); }
    };
    explicit Netlink(mnl_socket *socket) : socket_(socket) {}

    // One datagram of the kernel; a link with many virtual functions is the largest that comes.
    static constexpr size_t kReceive_bytes = 65536;

    std::unique_ptr<mnl_socket, Closer> socket_;
    std::vector<char> buffer_ = std::vector<char>(kReceive_bytes);
    uint32_t sequence_ = 0;
};

// The attributes behind the family's header of a message, and those within an attribute. (libmnl's own macros
// are C.)
template <class Visit> void for_each_attribute(const nlmsghdr *message, size_t family_bytes, Visit visit) {
    const auto *end = static_cast<const char *>(mnl_nlmsg_get_payload_tail(message));
    for (const auto *attr = static_cast<const nlattr *>(mnl_nlmsg_get_payload_offset(message, family_bytes));
         mnl_attr_ok(attr, static_cast<int>(end - reinterpret_cast<const char *>(attr)));
         attr = mnl_attr_next(attr))
        visit(attr);
}
template <class Visit> void for_each_nested(const nlattr *nest, Visit visit) {
    const char *end = static_cast<const char *>(mnl_attr_get_payload(nest)) + mnl_attr_get_payload_len(nest);
    for (const auto *attr = static_cast<const nlattr *>(mnl_attr_get_payload(nest));
         mnl_attr_ok(attr, static_cast<int>(end - reinterpret_cast<const char *>(attr)));
         attr = mnl_attr_next(attr))
        visit(attr);
}

// What an attribute holds, whatever its length: the kernel that runs may know another structure than the one
// we were built with. What is missing is zero, and a text ends with the attribute.
template <class T> T value_of(const nlattr *attr) {
    T out{};
    std::memcpy(&out, mnl_attr_get_payload(attr),
                std::min<size_t>(mnl_attr_get_payload_len(attr), sizeof(out)));
    return out;
}
inline std::string text_of(const nlattr *attr) {
    const auto *text = static_cast<const char *>(mnl_attr_get_payload(attr));
    return {text, strnlen(text, mnl_attr_get_payload_len(attr))};
}
// The header of a family behind that of the message.
template <class T> T header_of(const nlmsghdr *message) {
    T out{};
    std::memcpy(&out, mnl_nlmsg_get_payload(message),
                std::min(mnl_nlmsg_get_payload_len(message), sizeof(out)));
    return out;
}

} // namespace sluice
