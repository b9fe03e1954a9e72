#include "api/listen.hpp"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace sluice {
namespace {

constexpr int listen_backlog = 64;

using AddressList = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

Result<Fd> bind_and_listen(const addrinfo &info, bool dual_stack) {
    Fd fd(socket(info.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (fd.get() < 0)
        return fail_errno(errno, "create a TCP socket");
    const int on = 1, v6_only = dual_stack ? 0 : 1;
    setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (info.ai_family == AF_INET6)
        setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof(v6_only));
    if (bind(fd.get(), info.ai_addr, info.ai_addrlen) != 0 || listen(fd.get(), listen_backlog) != 0)
        return errno == EADDRINUSE ? fail_busy("listen: " + std::string(std::strerror(errno)),
                                               "choose another address, or stop who listens there")
                                   : fail_errno(errno, "listen", "choose another address");
    return fd;
}

bool kernel_has_ipv6() {
    const Fd probe(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
    return probe.get() >= 0;
}

sockaddr_un unix_address(const std::string &path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    return address;
}

bool somebody_listens(const sockaddr_un &address) {
    const Fd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    return connect(probe.get(), reinterpret_cast<const sockaddr *>(&address), sizeof(address)) == 0;
}

// A daemon that was killed leaves its socket behind. Anything else at that path is not ours to remove.
Result<> clear_path(const std::string &path, const sockaddr_un &address) {
    struct stat info {};
    if (lstat(path.c_str(), &info) != 0)
        return {};
    if (!S_ISSOCK(info.st_mode))
        return fail("listen on " + path + ": it exists and is not a socket", "choose another path");
    if (somebody_listens(address))
        return fail_busy("listen on " + path + ": another process listens there",
                         "is sluiced running already?");
    if (unlink(path.c_str()) != 0)
        return fail_errno(errno, "remove the stale socket " + path);
    return {};
}

} // namespace

Result<ListenAddress> parse_listen_address(const std::string &text) {
    const auto colon = text.rfind(':');
    const auto bad = [&](const std::string &why) {
        return fail("listen address \"" + text + "\": " + why,
                    "write it as 127.0.0.1:9655, [::1]:9655 or :9655");
    };
    if (colon == std::string::npos)
        return bad("no port");
    std::string host = text.substr(0, colon), port = text.substr(colon + 1);
    const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
    if (!bracketed && host.find(':') != std::string::npos)
        return bad("an IPv6 address needs brackets");
    if (port.empty() || port.find_first_not_of("0123456789") != std::string::npos || port.size() > 5 ||
        std::stoul(port) > UINT16_MAX)
        return bad("the port is not a number up to 65535");
    return ListenAddress{bracketed ? host.substr(1, host.size() - 2) : host, port};
}

Result<Fd> listen_tcp(const ListenAddress &address) {
    addrinfo hints{}, *found = nullptr;
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV;
    const bool any = address.host.empty();
    const std::string object = "listen on " + address.host + ":" + address.port;
    if (any)
        hints.ai_family = kernel_has_ipv6() ? AF_INET6 : AF_INET;
    const int error = getaddrinfo(any ? nullptr : address.host.c_str(), address.port.c_str(), &hints, &found);
    if (error != 0)
        return fail(object + ": " + gai_strerror(error), "give a numeric address");
    const AddressList list(found, freeaddrinfo);
    auto fd = bind_and_listen(*list, any);
    if (!fd)
        return tl::unexpected(Error{object + ": " + fd.error().what, fd.error().cure, fd.error().kind});
    return fd;
}

uint16_t bound_port(int fd) {
    sockaddr_storage address{};
    socklen_t size = sizeof(address);
    if (getsockname(fd, reinterpret_cast<sockaddr *>(&address), &size) != 0)
        return 0;
    if (address.ss_family == AF_INET)
        return ntohs(reinterpret_cast<sockaddr_in &>(address).sin_port);
    if (address.ss_family == AF_INET6)
        return ntohs(reinterpret_cast<sockaddr_in6 &>(address).sin6_port);
    return 0;
}

Result<Fd> listen_unix(const std::string &path) {
    const std::string operation = "listen on " + path;
    const auto address = unix_address(path);
    if (path.size() >= sizeof(address.sun_path))
        return fail(operation + ": the path is longer than 107 bytes", "choose a shorter path");
    const auto directory = std::filesystem::path(path).parent_path();
    if (!directory.empty() && mkdir(directory.c_str(), 0750) != 0 && errno != EEXIST)
        return fail_errno(errno, "create the directory " + directory.string());
    if (auto cleared = clear_path(path, address); !cleared)
        return tl::unexpected(cleared.error());
    Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (fd.get() < 0)
        return fail_errno(errno, "create a unix socket");
    // Nobody can connect before listen(), so the mode is right from the first connection on.
    if (bind(fd.get(), reinterpret_cast<const sockaddr *>(&address), sizeof(address)) != 0 ||
        chmod(path.c_str(), 0660) != 0 || listen(fd.get(), listen_backlog) != 0)
        return fail_errno(errno, operation);
    return fd;
}

} // namespace sluice
