// HTTP server of the daemon: read-only on a TCP address, read and write on a unix socket. Bounded in threads,
// connections, header and body size and idle time, so that no client can keep another from its answer.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "api/handlers.hpp"
#include "core/result.hpp"

namespace sluice {

struct ServerOptions {
    std::string listen_address = "127.0.0.1:9655"; // "[::1]:9655", ":9655" = every address, "" = no TCP
    std::string control_socket = "/run/sluice/control.sock"; // "" = no control socket
    std::string web_config_file = {}; // TLS and passwords of the TCP listener, "" = neither (web_config.hpp)
    std::function<void(const std::string &)> log = {}; // of what goes wrong later; any thread
};

class WebAccess;

class Server {
  public:
    // The handlers must be callable from any thread until stop() has returned.
    Server(ServerOptions options, Handlers handlers);
    ~Server(); // stops
    Server(const Server &) = delete;
    Server &operator=(const Server &) = delete;

    // Either everything listens, or nothing does and the error names the address.
    Result<> start();
    void stop();

    // TCP port in use, for a listen address with port 0; 0 = no TCP.
    uint16_t port() const { return port_; }

  private:
    class Listener;
    Result<> start_tcp();
    Result<> start_control();

    ServerOptions options_;
    Handlers handlers_;
    uint16_t port_ = 0;
    std::unique_ptr<WebAccess> access_;
    std::unique_ptr<Listener> tcp_, control_;
};

} // namespace sluice
