// Which request gets which answer: pure functions of the request and of what the handlers return. Sockets and
// HTTP framing are the server's business. docs/api.md is the reader's version of this file.
#pragma once

#include <map>
#include <optional>
#include <string>

#include <sys/types.h>

#include "api/handlers.hpp"

namespace sluice {

struct Request {
    std::string method, path;
    bool on_control_socket = false;
    std::optional<uid_t> peer_uid;            // by SO_PEERCRED; only on the control socket
    std::map<std::string, std::string> query; // decoded; of a name that is given twice, the first
    std::string body = {};
};

struct Response {
    unsigned status = 200;
    std::string content_type;
    std::string body;
    std::string allow; // value of the Allow header; only with status 405
};

// Before the body is read: the answer to a request that is not allowed. Nothing where it may go on.
std::optional<Response> refuse(const Request &request);
// What the body of such a request may hold; what is longer is refused unread.
size_t largest_body(const Request &request);

Response respond(const Request &request, const Handlers &handlers, double now_unix_s);

// A control loop that has not run for so long counts as hung. It beats at least once a second, also when
// idle.
inline constexpr double heartbeat_limit_s = 10;

// Empty when sluice does its work, maybe degraded; else why it does not.
std::string not_ready_reason(const Snapshot &snapshot, double now_unix_s);

} // namespace sluice
