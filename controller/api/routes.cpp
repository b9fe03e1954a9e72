#include "api/routes.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <string_view>

#include "api/json.hpp"
#include "api/packet_query.hpp"
#include "api/policy_json.hpp"
#include "api/web_assets.hpp"
#include "metrics/catalogue.hpp"

namespace sluice {
namespace {

constexpr const char *text_type = "text/plain; charset=utf-8";
constexpr const char *json_type = "application/json";

Response healthy(const Request &, const Handlers &, double) {
    return {200, text_type, "sluiced is healthy.\n"};
}

Response ready(const Request &, const Handlers &handlers, double now_unix_s) {
    const auto snapshot = handlers.snapshot();
    const auto reason = not_ready_reason(snapshot, now_unix_s);
    if (!reason.empty())
        return {503, text_type, "sluiced is not ready: " + reason + "\n"};
    return {200, text_type, "sluiced is ready: " + snapshot.health + "\n"};
}

Response error(unsigned status, const std::string &message) {
    return {status, json_type, error_json(message)};
}

// A number of the query; `fallback` where it is not given, nothing where it is not a number.
std::optional<uint64_t> query_number(const Request &request, const std::string &name, uint64_t fallback) {
    const auto found = request.query.find(name);
    if (found == request.query.end())
        return fallback;
    uint64_t value = 0;
    const char *end = found->second.data() + found->second.size();
    const auto read = std::from_chars(found->second.data(), end, value);
    return read.ec == std::errc() && read.ptr == end ? std::optional(value) : std::nullopt;
}

// The bytes of frames may hold what users send: only who may open the control socket sees them.
Response drops(const Request &request, const Handlers &handlers, double) {
    constexpr uint64_t default_limit = 1000;
    const auto since = query_number(request, "since", 0);
    const auto limit = query_number(request, "limit", default_limit);
    if (!since || !limit)
        return error(400, "since and limit are whole numbers, e.g. /api/v1/drops?since=17&limit=100");
    DropPage page = handlers.drops(*since, std::min(*limit, default_limit));
    if (!request.on_control_socket)
        for (auto &event : page.events)
            event.frame.clear();
    return {200, json_type, to_json_text(page)};
}

Response explain(const Request &request, const Handlers &handlers, double) {
    const auto key = packet_key(request.query);
    if (!key)
        return error(400, to_string(key.error()));
    const auto found = handlers.explain(*key);
    if (found.empty())
        return error(404,
                     "no transition of the policy begins at " + (key->in.empty() ? "any port" : key->in));
    return {200, json_type, to_json_text(found)};
}

Response history(const Request &request, const Handlers &handlers, double) {
    const auto since = query_number(request, "since_ms", 0);
    if (!since)
        return error(400, "since_ms is a whole number: milliseconds since 1970");
    return {200, json_type, to_json_text(handlers.history(static_cast<double>(*since) * 1e-3))};
}

Response metrics(const Request &, const Handlers &handlers, double) {
    return {200, metrics_content_type, render_metrics(handlers.snapshot())};
}

Response status(const Request &, const Handlers &handlers, double) {
    return {200, json_type, to_json_text(handlers.snapshot())};
}

unsigned http_status(ReloadStatus status) {
    switch (status) {
    case ReloadStatus::applied:
        return 200;
    case ReloadStatus::invalid:
        return 422;
    case ReloadStatus::busy:
        return 409;
    case ReloadStatus::nothing:
        return 404;
    case ReloadStatus::failed:
        break;
    }
    return 500;
}

Response outcome_response(const ReloadOutcome &outcome) {
    return {http_status(outcome.status), json_type, to_json_text(outcome)};
}

Response reload(const Request &, const Handlers &handlers, double) {
    return outcome_response(handlers.reload());
}

Response apply(const Request &request, const Handlers &handlers, double) {
    auto wanted = apply_request_from_json(request.body);
    if (!wanted)
        return error(400, to_string(wanted.error()));
    return outcome_response(handlers.apply(std::move(*wanted)));
}

Response confirm(const Request &, const Handlers &handlers, double) {
    return outcome_response(handlers.confirm());
}

Response rollback(const Request &, const Handlers &handlers, double) {
    return outcome_response(handlers.rollback());
}

Response policy(const Request &, const Handlers &handlers, double) {
    return {200, json_type, to_json_text(handlers.policy())};
}

// read_inside: on the control socket only, because it holds what the operator wrote.
enum class Access { read, read_inside, write };

constexpr size_t small_body = 64 * 1024, policy_body = 32 * 1024 * 1024; // tenant files and all, as JSON

struct Route {
    std::string_view path;
    Access access;
    Response (*answer)(const Request &, const Handlers &, double now_unix_s);
    size_t largest_body = small_body;
};

constexpr std::array routes{
    Route{"/metrics", Access::read, metrics},
    Route{"/-/healthy", Access::read, healthy},
    Route{"/-/ready", Access::read, ready},
    Route{"/api/v1/status", Access::read, status},
    Route{"/api/v1/explain", Access::read, explain},
    Route{"/api/v1/history", Access::read, history},
    Route{"/api/v1/drops", Access::read, drops},
    Route{"/api/v1/reload", Access::write, reload},
    Route{"/api/v1/confirm", Access::write, confirm},
    Route{"/api/v1/rollback", Access::write, rollback},
    Route{"/api/v1/policy", Access::read_inside, policy},
    Route{"/api/v1/apply", Access::write, apply, policy_body},
};

constexpr Route page_route{"the page", Access::read, nullptr};

Response wrong_method(const Route &route) {
    auto response = error(405, "this method is not for " + std::string(route.path));
    response.allow = route.access == Access::write ? "POST" : "GET, HEAD";
    return response;
}

bool method_fits(const Route &route, const std::string &method) {
    return route.access == Access::write ? method == "POST" : method == "GET" || method == "HEAD";
}

const Route *find_route(const std::string &path) {
    const auto found = std::ranges::find_if(routes, [&](const Route &r) { return r.path == path; });
    return found == routes.end() ? nullptr : &*found;
}

std::optional<Response> refuse_on(const Route &route, const Request &request) {
    if (route.access == Access::write && !request.on_control_socket)
        return error(403, "changes are accepted on the control socket only");
    if (route.access == Access::read_inside && !request.on_control_socket)
        return error(403, "this is told on the control socket only");
    if (!method_fits(route, request.method))
        return wrong_method(route);
    if (route.access == Access::write && request.peer_uid != uid_t{0})
        return error(403, "changes are accepted from root only");
    return {};
}

} // namespace

std::optional<Response> refuse(const Request &request) {
    const auto *route = find_route(request.path);
    return route ? refuse_on(*route, request) : std::nullopt;
}

size_t largest_body(const Request &request) {
    const auto *route = find_route(request.path);
    return route ? route->largest_body : small_body;
}

Response respond(const Request &request, const Handlers &handlers, double now_unix_s) {
    if (const auto *route = find_route(request.path)) {
        auto refusal = refuse_on(*route, request);
        return refusal ? *refusal : route->answer(request, handlers, now_unix_s);
    }
    if (const auto *asset = find_web_asset(request.path)) {
        if (!method_fits(page_route, request.method))
            return wrong_method(page_route);
        return {200, std::string(asset->content_type), std::string(asset->body)};
    }
    return error(404, "no such path; / lists what there is");
}

std::string not_ready_reason(const Snapshot &snapshot, double now_unix_s) {
    if (snapshot.health.empty())
        return "starting, the data path is not attached yet";
    if (snapshot.health.starts_with("failed"))
        return snapshot.health;
    const double silent_s = now_unix_s - snapshot.heartbeat_unix_s;
    if (silent_s > heartbeat_limit_s)
        return "the control loop has not run for " + std::to_string(std::llround(silent_s)) + " s";
    return {};
}

} // namespace sluice
