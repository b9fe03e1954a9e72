// slowlink's control socket: SOCK_SEQPACKET, one command per message, one JSON object per reply.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "clock.hpp"
#include "core/result.hpp"

namespace lab {

class ControlSocket {
  public:
    using Handler = std::function<std::string(const std::string &command)>;

    static sluice::Result<ControlSocket> listen(const std::string &path);
    // Readable when a command waits.
    [[nodiscard]] int poll_fd() const { return epoll_.get(); }
    void serve(const Handler &handler);

  private:
    void accept_client();
    void serve_client(int fd, const Handler &handler);

    Fd epoll_, listener_;
    std::vector<Fd> clients_;
};

} // namespace lab
