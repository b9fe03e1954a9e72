// Requests of any kind to the API, without sockets: always one answer of HTTP, changes never without root.
// Input: method, path, who, then the query, a line each; a line that begins with { is the body.
#include <sstream>

#include "api/json.hpp"
#include "api/packet_query.hpp"
#include "api/routes.hpp"
#include "fuzz.hpp"
#include "handlers.hpp"

namespace sluice::fuzz {
namespace {

Request request_of(std::string_view text) {
    std::istringstream lines{std::string(text)};
    Request request;
    std::string who, line;
    std::getline(lines, request.method);
    std::getline(lines, request.path);
    std::getline(lines, who);
    request.on_control_socket = who.find('c') != std::string::npos;
    if (who.find('r') != std::string::npos)
        request.peer_uid = 0;
    else if (who.find('u') != std::string::npos)
        request.peer_uid = 1000;
    while (std::getline(lines, line)) {
        if (line.starts_with('{')) { // no name of an argument begins so
            request.body = line;
            continue;
        }
        const size_t equals = line.find('=');
        request.query.emplace(line.substr(0, equals),
                              equals == std::string::npos ? "" : line.substr(equals + 1));
    }
    return request;
}

} // namespace
} // namespace sluice::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    using namespace sluice;
    static unsigned changes;
    static const Handlers handlers = [] {
        Handlers h = fuzz::handlers();
        h.reload = h.confirm = h.rollback = [] { return changes++, ReloadOutcome{ReloadStatus::applied, 4}; };
        h.apply = [](const ApplyRequest &) { return changes++, ReloadOutcome{ReloadStatus::applied, 4}; };
        return h;
    }();
    const Request request = fuzz::request_of(fuzz::text_of(data, size));
    changes = 0;
    if (refuse(request) && refuse(request)->status == 403)
        fuzz::require(respond(request, handlers, 0).status == 403,
                      "what is refused before its body stays refused");
    const Response response = respond(request, handlers, 1'700'000'000);
    fuzz::require(response.status >= 200 && response.status < 600, "a status of HTTP");
    fuzz::require(!response.content_type.empty(), "every answer has a type");
    fuzz::require((response.status == 405) == !response.allow.empty(), "405 names what is allowed");
    fuzz::require(!changes ||
                      (request.on_control_socket && request.peer_uid == uid_t{0} && request.method == "POST"),
                  "only root changes anything, by POST on the control socket");
    if (const auto key = packet_key(request.query))
        fuzz::require(key->family == 4 || key->family == 6, "a packet has a family");
    return 0;
}
