// What sluicectl prints and returns: units as tc prints them, lines in tc's order, stable exit codes.
#include <filesystem>
#include <fstream>
#include <future>
#include <sstream>

#include <gtest/gtest.h>
#include <unistd.h>

#include "api/server.hpp"
#include "cli/commands.hpp"
#include "cli/ledger_format.hpp"
#include "cli/status_format.hpp"
#include "cli/tc_units.hpp"

namespace sluice {
namespace {

constexpr uint64_t us = 1000, ms = 1000 * us, s = 1000 * ms;
constexpr uint64_t mbit = 125'000; // bytes per second

PortState wan() {
    PortState p{
        .name = "wan", .device = "eth1", .ifindex = 4, .up = true, .driver = "tun", .ring_reader = "tun"};
    p.hook = "tracepoint";
    p.policy_rate_bytes_per_s = 50 * mbit;
    p.capacity_bytes_per_s = 50 * mbit - mbit / 10;
    p.headroom = 0.985;
    p.rings = {{.index = 0, .size = 1000, .occupancy = 3, .sojourn_ns = 700 * us, .waiting_bytes = 4614}};
    p.sent_packets = 789;
    p.sent_bytes = 123456;
    p.kernel_drops = {{"ring_full", 0}, {"no_device", 0}};
    ClassState c{.transition = "wan", .name = "default", .admitted_packets = 780, .admitted_bytes = 120000};
    c.service_bytes_per_s = 49 * mbit;
    c.backlog_bytes = 12300;
    c.active_flows = 4;
    c.delay_ns = 2100 * us;
    c.target_ns = 5 * ms;
    c.interval_ns = 100 * ms;
    c.limit_ns = 10 * ms;
    c.outcomes = {{"forward", 777}, {"mark", 3}, {"drop_codel", 7}, {"drop_limit", 5}, {"drop_ring", 0}};
    p.classes = {c};
    return p;
}

Snapshot with(PortState port) {
    Snapshot snapshot{
        .version = "0.1.0", .policy_file = "/etc/sluice/policy.yaml", .policy_sha256 = "0123456789abcdef"};
    snapshot.policy_generation = 2;
    snapshot.health = "ok";
    snapshot.ports = {std::move(port)};
    return snapshot;
}

bool has(const std::string &text, const std::string &part) {
    return text.find(part) != std::string::npos;
}

TEST(Status, PrintsPortRingAndClassLikeTc) {
    EXPECT_EQ(
        format_status(with(wan())),
        "sluice 0.1.0 policy /etc/sluice/policy.yaml generation 2 sha256 0123456789ab\n"
        " health ok\n"
        "port wan dev eth1 ifindex 4 driver tun reader tun hook tracepoint xdp - rate 50Mbit "
        "capacity 49.9Mbit drain - headroom 0.985\n"
        " ring 0 1000 descriptors occupancy 3 sojourn 700us waiting 4614b\n"
        " Sent 123456 bytes 789 pkt (dropped 12, marked 3, kernel drops 0)\n"
        " Received 0 bytes 0 pkt passed 0\n"
        "class default service 49Mbit backlog 12300b active flows 4 delay 2.1ms target 5ms interval 100ms "
        "limit 10ms\n"
        " Sent 120000 bytes 780 pkt (drop_codel 7, drop_limit 5, drop_ring 0) marked 3\n");
}

TEST(Status, NamesOnlyTheReasonsThatOccurredForPassesAndKernelDrops) {
    auto port = wan();
    port.kernel_drops[0].packets = 6;
    port.passed = {{"pass_arp", 2}, {"pass_ttl", 0}, {"pass_local", 1}};
    const auto text = format_status(with(port));
    EXPECT_TRUE(has(text, "kernel drops 6) (ring_full 6)\n")) << text;
    EXPECT_TRUE(has(text, "passed 3 (pass_arp 2, pass_local 1)\n")) << text;
}

TEST(Status, SaysWhatIsDegradedDownOrUnknown) {
    auto port = wan();
    port.up = false;
    port.degraded = "driver foo has no ring reader; the port runs on the phantom scheduler alone";
    port.ring_reader = "none";
    port.policy_rate_bytes_per_s.reset();
    port.rings[0].size = 0;
    const auto text = format_status(with(port));
    EXPECT_TRUE(has(text, "ifindex 4 DOWN driver")) << text;
    EXPECT_TRUE(has(text, "\n degraded: driver foo has no ring reader")) << text;
    EXPECT_TRUE(has(text, "rate auto")) << text;
    EXPECT_TRUE(has(text, " ring 0 ? descriptors")) << text;
}

TEST(Status, ShowsShadowVerdictsOnlyInShadowMode) {
    auto port = wan();
    EXPECT_FALSE(has(format_status(with(port)), "shadow"));
    port.classes[0].outcomes.push_back({"would_drop_codel", 9});
    const auto text = format_status(with(port));
    EXPECT_TRUE(has(text, " shadow mode, not enforced: would_drop_codel 9\n")) << text;
    EXPECT_TRUE(has(text, "(dropped 12, marked 3,")) << "would_* must not count as dropped: " << text;
}

TEST(Status, PrintsAnEmptySnapshotWithoutInventingState) {
    EXPECT_EQ(format_status(Snapshot{}), "sluice  policy - generation 0 sha256 -\n health starting\n");
}

PortState with_ledger() {
    PortState p{.name = "wan", .device = "eth1"};
    p.ledger.received = 12;
    p.ledger.outcomes = {{"forward", 7}, {"mark", 0}, {"drop_codel", 2}, {"pass_ttl", 3}, {"pass_local", 0}};
    p.ledger.admitted = 1000;
    p.ledger.sent = 990;
    p.ledger.pending = 4;
    p.ledger.kernel_drops = {{"ring_full", 6}, {"no_device", 0}};
    return p;
}

TEST(LedgerText, HasEveryVerdictAndLossAndTheReasonsThatOccurred) {
    EXPECT_EQ(format_ledger(with(with_ledger())), "port wan dev eth1\n"
                                                  " received                       12\n"
                                                  "   forward                       7\n"
                                                  "   mark                          0\n"
                                                  "   drop_codel                    2\n"
                                                  "   pass_ttl                      3\n"
                                                  "   unexplained                   0\n"
                                                  " admitted                     1000\n"
                                                  "   sent                        990\n"
                                                  "   pending                       4\n"
                                                  "   ring_full                     6\n"
                                                  "   no_device                     0\n"
                                                  "   unexplained                   0\n");
}

TEST(LedgerText, SaysHowManyFramesMovedWhileItWasRead) {
    auto port = with_ledger();
    port.ledger.in_flight = 17;
    EXPECT_TRUE(has(format_ledger(with(port)), "\n moved meanwhile                17\n"))
        << format_ledger(with(port));
}

TEST(LedgerText, OneUnexplainedFrameOfOnePortIsEnough) {
    EXPECT_TRUE(all_explained(with(with_ledger())));
    auto lost = with(with_ledger()), foreign = with(with_ledger());
    lost.ports[0].ledger.unexplained_received = 1;
    foreign.ports[0].ledger.unexplained_admitted = -1;
    auto nowhere = with(with_ledger());
    nowhere.unexplained_redirects = 2;
    EXPECT_FALSE(all_explained(nowhere));
    EXPECT_TRUE(has(format_ledger(nowhere), "admitted to no port: 2\n")) << format_ledger(nowhere);
    EXPECT_FALSE(all_explained(lost));
    EXPECT_FALSE(all_explained(foreign));
}

TEST(TcUnits, RateHasFourDigitsAndFactorsOf1000) {
    EXPECT_EQ(tc_rate(0), "0bit");
    EXPECT_EQ(tc_rate(100), "800bit");
    EXPECT_EQ(tc_rate(125), "1Kbit");
    EXPECT_EQ(tc_rate(50 * mbit), "50Mbit");
    EXPECT_EQ(tc_rate(6'234'140), "49.87Mbit");
    EXPECT_EQ(tc_rate(124'999'999), "1Gbit") << "rounding must not print 1000Mbit";
    EXPECT_EQ(tc_rate(1'250'000'000), "10Gbit");
    EXPECT_EQ(tc_rate(UINT64_MAX / 8), "18446744Tbit");
}

TEST(TcUnits, TimeHasThreeDigits) {
    EXPECT_EQ(tc_time(0), "0ns");
    EXPECT_EQ(tc_time(999), "999ns");
    EXPECT_EQ(tc_time(1000), "1us");
    EXPECT_EQ(tc_time(700 * us), "700us");
    EXPECT_EQ(tc_time(999'900), "1ms") << "rounding must not print 1e+03us";
    EXPECT_EQ(tc_time(2140 * us), "2.14ms");
    EXPECT_EQ(tc_time(999'900 * us), "1s");
    EXPECT_EQ(tc_time(1500 * ms), "1.5s");
    EXPECT_EQ(tc_time(20'000 * s), "20000s");
}

TEST(TcUnits, SizeTakesALargerUnitOnlyWhereItLosesLittle) {
    EXPECT_EQ(tc_size(0), "0b");
    EXPECT_EQ(tc_size(12300), "12300b");
    EXPECT_EQ(tc_size(12288), "12Kb");
    EXPECT_EQ(tc_size(1536), "1536b");
    EXPECT_EQ(tc_size(3 << 20), "3Mb");
    EXPECT_EQ(tc_size((3 << 20) + 100), "3Mb");
}

// ---- subcommands against a real server on a unix socket

class Commands : public testing::Test {
  protected:
    void SetUp() override {
        char name[] = "/tmp/sluice-cli-XXXXXX";
        directory = mkdtemp(name);
        context.control_socket = directory / "control.sock";
    }
    void TearDown() override {
        server.reset();
        std::filesystem::remove_all(directory);
    }
    void serve(const Snapshot &snapshot, const ReloadOutcome &outcome = {}) {
        server = std::make_unique<Server>(ServerOptions{"", context.control_socket},
                                          Handlers{[=] { return snapshot; }, [=] { return outcome; }});
        ASSERT_TRUE(server->start());
    }
    std::string file(const std::string &name, const std::string &text) {
        std::ofstream(directory / name) << text;
        return directory / name;
    }

    std::filesystem::path directory;
    std::ostringstream out, err;
    Context context{.format = OutputFormat::text, .out = out, .err = err};
    std::unique_ptr<Server> server;
};

TEST_F(Commands, StatusPrintsWhatTheDaemonKnows) {
    serve(with(wan()));
    EXPECT_EQ(run_status(context, false), ExitCode::ok);
    EXPECT_EQ(out.str(), format_status(with(wan())));
}

TEST_F(Commands, StatusOfADegradedDaemonHasItsOwnExitCode) {
    auto snapshot = with(wan());
    snapshot.health = "degraded: port wan has no ring reader";
    serve(snapshot);
    context.format = OutputFormat::json;
    EXPECT_EQ(run_status(context, false), ExitCode::degraded);
    EXPECT_TRUE(has(out.str(), "\"health\": \"degraded: port wan")) << out.str();
}

TEST_F(Commands, TheLedgerAloneDecidesTheExitCodeOfTheLedger) {
    auto snapshot = with(with_ledger());
    snapshot.health = "degraded: no reader";
    serve(snapshot);
    EXPECT_EQ(run_status(context, true), ExitCode::ok);
    EXPECT_EQ(out.str(), format_ledger(snapshot));
    server.reset();
    snapshot.ports[0].ledger.unexplained_admitted = 3;
    serve(snapshot);
    context.format = OutputFormat::json;
    out.str("");
    EXPECT_EQ(run_status(context, true), ExitCode::degraded);
    EXPECT_TRUE(has(out.str(), "\"unexplained_admitted\": 3")) << out.str();
    EXPECT_TRUE(has(out.str(), "\"name\": \"wan\"")) << out.str();
    EXPECT_FALSE(has(out.str(), "capacity")) << out.str();
}

TEST_F(Commands, AnAbsentDaemonIsNamedBySocketWithACure) {
    EXPECT_EQ(run_status(context, false), ExitCode::failed);
    EXPECT_TRUE(has(err.str(), context.control_socket + ": No such file or directory")) << err.str();
    EXPECT_TRUE(has(err.str(), "systemctl start sluiced")) << err.str();
    EXPECT_EQ(out.str(), "");
}

TEST_F(Commands, ErrorsAreJsonToo) {
    context.format = OutputFormat::json;
    EXPECT_EQ(run_reload(context), ExitCode::failed);
    EXPECT_TRUE(out.str().starts_with("{\n  \"error\":")) << out.str();
}

TEST_F(Commands, ReloadReportsEachOutcome) {
    if (geteuid() != 0)
        GTEST_SKIP() << "skipped: reload needs root";
    serve({}, {ReloadStatus::applied, 5});
    EXPECT_EQ(run_reload(context), ExitCode::ok);
    EXPECT_EQ(out.str(), "policy generation 5 is in force\n");
    server.reset();
    serve({}, {ReloadStatus::invalid, 0, {{"p.yaml", {2, 3}, Diagnostic::error, "bad", "", "  x"}}});
    EXPECT_EQ(run_reload(context), ExitCode::policy_invalid);
    EXPECT_TRUE(has(err.str(), "p.yaml:2:3: error: bad\n  x\n  ^\n")) << err.str();
    server.reset();
    serve({}, {.failure = "no room"});
    EXPECT_EQ(run_reload(context), ExitCode::failed);
    EXPECT_TRUE(has(err.str(), "the running policy stays in force: no room")) << err.str();
}

TEST_F(Commands, ApplySendsThePolicyWithWhatItNames) {
    if (geteuid() != 0)
        GTEST_SKIP() << "skipped: apply needs root";
    file("tenants.csv", "name,match\nalice,192.0.2.0/28\n");
    const std::string text = "version: 1\nports: {a: {device: x}, b: {device: y}}\n"
                             "transitions: [{from: a, to: b, tenants: {by: dst, file: tenants.csv}}]\n";
    const auto policy = file("policy.yaml", text);
    std::promise<ApplyRequest> sent; // by a thread of the server
    Handlers h;
    h.apply = [&](ApplyRequest request) {
        sent.set_value(std::move(request));
        return ReloadOutcome{ReloadStatus::applied, 6, {}, {}, 1'700'000'000.0};
    };
    h.confirm = [] {
        return ReloadOutcome{.status = ReloadStatus::nothing, .failure = "no policy is on trial"};
    };
    h.rollback = [] { return ReloadOutcome{.status = ReloadStatus::busy, .failure = "later"}; };
    server = std::make_unique<Server>(ServerOptions{"", context.control_socket}, h);
    ASSERT_TRUE(server->start());
    EXPECT_EQ(run_apply(context, {policy, "90s"}), ExitCode::ok) << err.str();
    const ApplyRequest got = sent.get_future().get();
    EXPECT_EQ(got.bytes.text, text);
    EXPECT_EQ(got.bytes.file, policy);
    ASSERT_EQ(got.bytes.tenant_files.size(), 1u);
    EXPECT_EQ(got.bytes.tenant_files[0].text, "name,match\nalice,192.0.2.0/28\n");
    EXPECT_EQ(got.confirm_within_s, 90.0);
    EXPECT_TRUE(has(out.str(), "generation 6 is in force\non trial until ")) << out.str();
    EXPECT_EQ(run_apply(context, {policy, "soon"}), ExitCode::usage);
    EXPECT_EQ(run_confirm(context), ExitCode::failed);
    EXPECT_EQ(run_rollback(context), ExitCode::degraded);
}

TEST_F(Commands, ABadFileIsRefusedHereAndNotSent) {
    EXPECT_EQ(run_apply(context, {file("bad.yaml", "version: 2\n"), ""}), ExitCode::policy_invalid);
    EXPECT_TRUE(has(err.str(), "bad.yaml:1:10: error")) << err.str();
}

TEST_F(Commands, PlanComparesWithWhatRuns) {
    const std::string running = "version: 1\nports: {a: {device: x}, b: {device: y, rate: 50mbit}}\n"
                                "transitions: [{from: a, to: b}]\n";
    RunningPolicy policy{
        {"/etc/p.yaml", running, {}}, "abc", PolicySource::file, file("p.yaml", running), {}};
    Handlers h;
    h.policy = [=] { return policy; };
    server = std::make_unique<Server>(ServerOptions{"", context.control_socket}, h);
    ASSERT_TRUE(server->start());
    EXPECT_EQ(run_plan(context, ""), ExitCode::ok);
    EXPECT_TRUE(has(out.str(), "no difference")) << out.str();
    out.str("");
    std::string text = running;
    text.replace(text.find("50mbit"), 6, "25mbit");
    EXPECT_EQ(run_plan(context, file("new.yaml", text)), ExitCode::ok);
    EXPECT_EQ(out.str(), "port b: rate 50mbit -> 25mbit\n"
                         "swap in place: maps are filled, one index flips, no packet is lost\n");
    out.str("");
    context.format = OutputFormat::json;
    text.replace(text.find("device: y"), 9, "device: z");
    EXPECT_EQ(run_plan(context, file("new.yaml", text)), ExitCode::ok);
    EXPECT_TRUE(has(out.str(), "\"in_place\": false")) << out.str();
    EXPECT_TRUE(has(out.str(), "\"port b: device\"")) << out.str();
}

TEST_F(Commands, CheckPointsAtTheMistakeAndGoesOnWithTheNextFile) {
    const auto good = file("good.yaml", "version: 1\nports:\n  lan: {device: eth0}\n  wan: {device: eth1}\n"
                                        "transitions:\n  - {from: [lan], to: wan}\n");
    const auto bad = file("bad.yaml", "version: 1\nports:\n  wan: {device: eth1, ratee: 5mbit}\n");
    EXPECT_EQ(run_check(context, {good}), ExitCode::ok) << err.str();
    EXPECT_EQ(run_check(context, {bad, good}), ExitCode::policy_invalid);
    EXPECT_TRUE(has(err.str(), bad + ":3:23: error:")) << err.str();
    EXPECT_EQ(out.str(), good + ": ok\n" + good + ": ok\n");
}

TEST_F(Commands, CheckAsJsonIsOneArray) {
    context.format = OutputFormat::json;
    EXPECT_EQ(run_check(context, {"/nonexistent/a.yaml", "/nonexistent/b.yaml"}), ExitCode::policy_invalid);
    EXPECT_TRUE(out.str().starts_with("[\n")) << out.str();
    EXPECT_TRUE(has(out.str(), "b.yaml")) << out.str();
    EXPECT_EQ(err.str(), "");
}

TEST_F(Commands, SchemaIsDraft07) {
    EXPECT_EQ(run_schema(context), ExitCode::ok);
    EXPECT_TRUE(has(out.str(), "json-schema.org/draft-07")) << out.str();
}

} // namespace
} // namespace sluice
