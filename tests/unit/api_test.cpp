// The HTTP API without sockets: routes as pure functions, JSON both ways, listen addresses.
#include <cmath>

#include <gtest/gtest.h>

#include "api/json.hpp"
#include "api/listen.hpp"
#include "api/policy_json.hpp"
#include "api/routes.hpp"

namespace sluice {
namespace {

constexpr double now = 1'700'000'000;
constexpr uid_t root = 0, nobody = 65534;

Snapshot example() {
    Snapshot s{.version = "0.1.0", .policy_generation = 3, .heartbeat_unix_s = now, .health = "ok"};
    PortState wan{.name = "wan", .device = "eth1", .up = true};
    wan.rings = {{.index = 0, .size = 1000}};
    wan.kernel_drops = {{"ring_full", 2}};
    wan.classes = {{.transition = "wan", .name = "default", .outcomes = {{"forward", 12}}}};
    s.ports = {wan};
    return s;
}

Handlers handlers(Snapshot snapshot = example(), ReloadOutcome outcome = {ReloadStatus::applied, 4}) {
    return {[snapshot] { return snapshot; }, [outcome] { return outcome; }};
}

std::vector<Diagnostic> one_error() {
    return {{"p.yaml", {12, 9}, Diagnostic::error, "unknown key `ceiling`", "ceil", "  ceiling: 10%"}};
}

bool has(const std::string &text, const std::string &part) {
    return text.find(part) != std::string::npos;
}

// ---- routes

TEST(Routes, UnknownPathAndWrongMethod) {
    EXPECT_EQ(respond({"GET", "/nothing"}, handlers(), now).status, 404u);
    const auto post = respond({"POST", "/metrics"}, handlers(), now);
    EXPECT_EQ(post.status, 405u);
    EXPECT_EQ(post.allow, "GET, HEAD");
    const auto get = respond({"GET", "/api/v1/reload", true, root}, handlers(), now);
    EXPECT_EQ(get.status, 405u);
    EXPECT_EQ(get.allow, "POST");
}

TEST(Routes, ReadyOnlyWhileTheDataPathIsAttachedAndSteered) {
    const auto ready = [](const Snapshot &s, double at = now) {
        return respond({"GET", "/-/ready"}, handlers(s), at);
    };
    EXPECT_EQ(ready(example()).status, 200u);
    EXPECT_EQ(ready(Snapshot{}).status, 503u);
    EXPECT_TRUE(has(ready(Snapshot{}).body, "not attached yet"));
    auto snapshot = example();
    snapshot.health = "degraded: port wan has no ring reader";
    EXPECT_EQ(ready(snapshot).status, 200u) << "degraded still does its work";
    EXPECT_TRUE(has(ready(snapshot).body, "no ring reader"));
    snapshot.health = "failed: port wan is gone";
    EXPECT_EQ(ready(snapshot).status, 503u);
    EXPECT_TRUE(has(ready(snapshot).body, "port wan is gone"));
    EXPECT_EQ(ready(example(), now + heartbeat_limit_s).status, 200u);
    EXPECT_EQ(ready(example(), now + heartbeat_limit_s + 1).status, 503u);
}

TEST(Routes, HealthyDoesNotDependOnTheDataPath) {
    EXPECT_EQ(respond({"GET", "/-/healthy"}, handlers(Snapshot{}), now).status, 200u);
}

TEST(Routes, ReloadIsForRootOnTheControlSocketOnly) {
    EXPECT_EQ(respond({"POST", "/api/v1/reload", true, root}, handlers(), now).status, 200u);
    EXPECT_EQ(respond({"POST", "/api/v1/reload", true, nobody}, handlers(), now).status, 403u);
    EXPECT_EQ(respond({"POST", "/api/v1/reload", true, std::nullopt}, handlers(), now).status, 403u);
    EXPECT_EQ(respond({"POST", "/api/v1/reload", false, root}, handlers(), now).status, 403u);
}

TEST(Routes, ReloadTellsTheThreeOutcomesApart) {
    const auto reload = [](const ReloadOutcome &o) {
        const auto r = respond({"POST", "/api/v1/reload", true, root}, handlers(example(), o), now);
        return reload_outcome_from_json(static_cast<int>(r.status), r.body);
    };
    const auto applied = reload({ReloadStatus::applied, 7});
    ASSERT_TRUE(applied);
    EXPECT_EQ(applied->status, ReloadStatus::applied);
    EXPECT_EQ(applied->generation, 7u);
    const auto invalid = reload({ReloadStatus::invalid, 0, one_error()});
    ASSERT_TRUE(invalid);
    EXPECT_EQ(invalid->status, ReloadStatus::invalid);
    ASSERT_EQ(invalid->diagnostics.size(), 1u);
    EXPECT_EQ(format(invalid->diagnostics[0]), format(one_error()[0]));
    const auto failed = reload({.failure = "attach XDP to eth0: busy"});
    ASSERT_TRUE(failed);
    EXPECT_EQ(failed->status, ReloadStatus::failed);
    EXPECT_EQ(failed->failure, "attach XDP to eth0: busy");
}

TEST(Routes, ChangesAreRefusedBeforeTheirBodyIsRead) {
    for (const auto *path : {"/api/v1/apply", "/api/v1/confirm", "/api/v1/rollback", "/api/v1/reload"}) {
        EXPECT_EQ(refuse({"POST", path, true, nobody})->status, 403u) << path;
        EXPECT_EQ(refuse({"POST", path, false, root})->status, 403u) << path;
        EXPECT_EQ(refuse({"GET", path, true, root})->status, 405u) << path;
        EXPECT_FALSE(refuse({"POST", path, true, root})) << path;
    }
    EXPECT_EQ(refuse({"GET", "/api/v1/policy", false})->status, 403u);
    EXPECT_FALSE(refuse({"GET", "/api/v1/policy", true, nobody}));
    EXPECT_LE(largest_body({"POST", "/api/v1/reload"}), 64u * 1024);
    EXPECT_GE(largest_body({"POST", "/api/v1/apply"}), 2u * 1024 * 1024);
}

TEST(Routes, ApplyNeedsAPolicyAndATimeThatMakesSense) {
    Handlers h = handlers();
    h.apply = [](const ApplyRequest &) { return ReloadOutcome{ReloadStatus::applied, 4}; };
    const auto answer = [&](const std::string &body) {
        return respond({"POST", "/api/v1/apply", true, root, {}, body}, h, now).status;
    };
    EXPECT_EQ(answer(R"({"file": "p", "text": "version: 1"})"), 200u);
    EXPECT_EQ(answer(R"({"file": "p", "text": "version: 1", "confirm_within_s": 60})"), 200u);
    for (const auto *bad :
         {"", "[]", R"({"file": "p"})", R"({"file": "p", "text": "", "confirm_within_s": 0})",
          R"({"file": "p", "text": "", "confirm_within_s": 1e12})",
          R"({"file": "p", "text": "", "tenant_files": [{"name": 3}]})"})
        EXPECT_EQ(answer(bad), 400u) << bad;
}

TEST(Routes, BusyAndNothingHaveTheirOwnStatus) {
    for (const auto &[status, http] : {std::pair{ReloadStatus::busy, 409u}, {ReloadStatus::nothing, 404u}}) {
        const auto r = respond({"POST", "/api/v1/reload", true, root},
                               handlers(example(), {.status = status, .failure = "why"}), now);
        EXPECT_EQ(r.status, http);
        const auto back = reload_outcome_from_json(static_cast<int>(r.status), r.body);
        ASSERT_TRUE(back);
        EXPECT_EQ(back->status, status);
        EXPECT_EQ(back->failure, "why");
    }
}

// ---- JSON

TEST(Json, APolicySurvivesTheRoundTrip) {
    const RunningPolicy policy{{"/etc/p.yaml", "version: 1\n# \xc3\xa9\n", {{"t.csv", "name\na\n"}}},
                               "abc",
                               PolicySource::last_good,
                               "/etc/sluice/policy.yaml",
                               17.5};
    const auto back = running_policy_from_json(to_json_text(policy));
    ASSERT_TRUE(back);
    EXPECT_EQ(to_json_text(*back), to_json_text(policy));
    const ApplyRequest request{policy.bytes, 60.0};
    const auto again = apply_request_from_json(to_json_text(request));
    ASSERT_TRUE(again);
    EXPECT_EQ(again->bytes.tenant_files.at(0).text, "name\na\n");
    EXPECT_EQ(again->confirm_within_s, 60.0);
}

TEST(Json, SnapshotSurvivesTheRoundTrip) {
    auto snapshot = example();
    snapshot.ports[0].policy_rate_bytes_per_s = 6'250'000;
    snapshot.ticks = UINT64_MAX;
    const auto text = to_json_text(snapshot);
    const auto back = snapshot_from_json(text);
    ASSERT_TRUE(back);
    EXPECT_EQ(to_json_text(*back), text);
    EXPECT_EQ(back->ticks, UINT64_MAX);
    EXPECT_EQ(back->ports.at(0).classes.at(0).outcomes.at(0).packets, 12u);
}

TEST(Json, UnknownIsNullBothWays) {
    const auto text = to_json_text(example());
    EXPECT_TRUE(has(text, "\"policy_rate_bytes_per_s\": null")) << text;
    const auto back = snapshot_from_json(text);
    ASSERT_TRUE(back);
    EXPECT_FALSE(back->ports.at(0).policy_rate_bytes_per_s.has_value());
}

TEST(Json, OtherVersionsMayLackOrAddFields) {
    const auto back = snapshot_from_json(R"({"version":"9","new_field":[1],"ports":[{"name":"wan"}]})");
    ASSERT_TRUE(back);
    EXPECT_EQ(back->ports.at(0).name, "wan");
    EXPECT_EQ(back->ports.at(0).headroom, 1.0);
}

TEST(Json, NonsenseIsAnErrorNotACrash) {
    for (const auto *text : {"", "[", "3", R"({"ports":7})", R"({"ticks":"many"})"})
        EXPECT_FALSE(snapshot_from_json(text)) << text;
    EXPECT_FALSE(reload_outcome_from_json(200, "{}"));
    EXPECT_FALSE(reload_outcome_from_json(422, "{}"));
    EXPECT_FALSE(reload_outcome_from_json(500, "[]"));
    auto bytes = example();
    bytes.ports[0].device = "eth\xff";
    bytes.ports[0].headroom = NAN;
    EXPECT_TRUE(has(to_json_text(bytes), "eth"));
}

// ---- listening

TEST(Listen, ParsesAddresses) {
    EXPECT_EQ(parse_listen_address("127.0.0.1:9655")->host, "127.0.0.1");
    EXPECT_EQ(parse_listen_address("[::1]:80")->host, "::1");
    EXPECT_EQ(parse_listen_address(":9655")->host, "");
    EXPECT_EQ(parse_listen_address(":9655")->port, "9655");
    for (const auto *bad :
         {"", "9655", "1.2.3.4:", "1.2.3.4:x", "::1:80", "[::1]", "1.2.3.4:65536", "1.2.3.4:-1"})
        EXPECT_FALSE(parse_listen_address(bad)) << bad;
    EXPECT_FALSE(listen_tcp({"localhost", "0"})) << "names are refused";
}

} // namespace
} // namespace sluice
