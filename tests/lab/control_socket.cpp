#include "control_socket.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

namespace lab {

using sluice::fail;
using sluice::fail_errno;

namespace {

bool watch(const Fd &epoll, int fd) {
    epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
    return epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd, &event) == 0;
}

} // namespace

sluice::Result<ControlSocket> ControlSocket::listen(const std::string &path) {
    ControlSocket control;
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    if (path.size() >= sizeof(address.sun_path))
        return fail("control socket path " + path + " is too long");
    std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
    control.listener_ = Fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    unlink(path.c_str());
    if (bind(control.listener_.get(), reinterpret_cast<sockaddr *>(&address), sizeof(address)) < 0 ||
        ::listen(control.listener_.get(), 8) < 0)
        return fail_errno(errno, "listen on control socket " + path);
    control.epoll_ = Fd(epoll_create1(EPOLL_CLOEXEC));
    if (!watch(control.epoll_, control.listener_.get()))
        return fail_errno(errno, "watch control socket " + path);
    return control;
}

void ControlSocket::serve(const Handler &handler) {
    std::array<epoll_event, 8> events{};
    const int n = epoll_wait(epoll_.get(), events.data(), events.size(), 0);
    for (int i = 0; i < n; i++) {
        const int fd = events[static_cast<size_t>(i)].data.fd;
        if (fd == listener_.get())
            accept_client();
        else
            serve_client(fd, handler);
    }
}

void ControlSocket::accept_client() {
    Fd client(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (client.get() >= 0 && watch(epoll_, client.get()))
        clients_.push_back(std::move(client));
}

void ControlSocket::serve_client(int fd, const Handler &handler) {
    std::array<char, 512> buffer{};
    const ssize_t n = recv(fd, buffer.data(), buffer.size(), 0);
    if (n > 0) {
        const std::string reply = handler(std::string(buffer.data(), static_cast<size_t>(n)));
        if (send(fd, reply.data(), reply.size(), MSG_NOSIGNAL) >= 0)
            return;
    } else if (n < 0 && errno == EAGAIN) {
        return;
    }
    std::erase_if(clients_, [fd](const Fd &client) { return client.get() == fd; });
}

} // namespace lab
