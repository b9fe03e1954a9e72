// Listening sockets: TCP by address, unix by path. Knows nothing of HTTP.
#pragma once

#include <cstdint>
#include <string>

#include "core/fd.hpp"
#include "core/result.hpp"

namespace sluice {

struct ListenAddress {
    std::string host; // numeric IPv4 or IPv6; empty = every address
    std::string port;
};

// "127.0.0.1:9655", "[::1]:9655", ":9655". Names are refused: resolving them could block the start.
Result<ListenAddress> parse_listen_address(const std::string &text);

// Listening, close-on-exec. An empty host listens on IPv6 and IPv4 with one socket.
Result<Fd> listen_tcp(const ListenAddress &address);
// Port that the kernel chose for ":0"; 0 if `fd` is not a TCP socket.
uint16_t bound_port(int fd);

// Creates the last directory of `path` if it is missing (0750), replaces a socket that nobody listens on,
// refuses to take one that is in use. Read and write for user and group (0660).
Result<Fd> listen_unix(const std::string &path);

} // namespace sluice
