// What the live views are made of: rates as differences of counters, the minutes that the daemon remembers,
// the files of the page.
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

#include <gtest/gtest.h>

#include "api/json.hpp"
#include "api/packet_query.hpp"
#include "api/routes.hpp"
#include "api/web_assets.hpp"
#include "cli/explain_format.hpp"
#include "cli/top_table.hpp"
#include "control/history.hpp"

namespace sluice {
namespace {

FlowState flow(uint32_t bucket, uint64_t backlog, uint64_t bytes, uint64_t refused = 0) {
    FlowState f{.class_name = "default", .bucket = bucket, .src = "10.0.0.1", .dst = "10.0.0.2"};
    f.sport = static_cast<uint16_t>(bucket);
    f.dport = 443;
    f.family = 4;
    f.proto = 6;
    f.backlog_bytes = backlog;
    f.bytes = bytes;
    f.refused = refused;
    return f;
}

Snapshot snapshot(uint64_t time_s, uint64_t scale) {
    Snapshot s{
        .time_ns = time_s * 1'000'000'000, .version = "0.1.0", .policy_file = "p.yaml", .health = "ok"};
    PortState wan{.name = "wan", .device = "eth1", .up = true};
    wan.rings = {{.index = 0, .size = 1000, .occupancy = 3, .sojourn_ns = 700'000},
                 {.index = 1, .size = 1000, .occupancy = 4, .sojourn_ns = 900'000}};
    wan.sent_bytes = 1000 * scale;
    wan.kernel_drops = {{"ring_full", scale}};
    ClassState c{.transition = "wan", .name = "default", .mode = "enforce"};
    c.admitted_bytes = 2000 * scale;
    c.outcomes = {{"forward", 0},
                  {"mark", 10 * scale},
                  {"drop_codel", 5 * scale},
                  {"drop_limit", scale},
                  {"would_mark", 7 * scale}};
    wan.classes = {c};
    wan.flows = {flow(1, 5000, 100 * scale), flow(2, 100, 900 * scale, scale)};
    s.ports = {wan};
    return s;
}

std::string text(const std::vector<TopLine> &lines) {
    std::string all;
    for (const auto &line : lines)
        all += line.text + "\n";
    return all;
}

bool has(const std::string &all, const std::string &part) {
    return all.find(part) != std::string::npos;
}

TEST(Top, RatesAreDifferencesPerSecond) {
    const auto before = snapshot(10, 1), now = snapshot(12, 5);
    const auto top = make_top(&before, now, TopSort::backlog);
    EXPECT_EQ(top.seconds, 2);
    EXPECT_EQ(top.ports.at(0).sent_bytes, 2000);
    EXPECT_EQ(top.ports.at(0).marks, 20);
    EXPECT_EQ(top.ports.at(0).drops, 12);
    EXPECT_EQ(top.ports.at(0).lost, 2);
    EXPECT_EQ(top.classes.at(0).bytes, 4000);
    EXPECT_EQ(top.flows.at(0).flow->bucket, 1u);
    EXPECT_EQ(top.flows.at(1).refused, 2);
}

TEST(Top, ShadowShowsWhatWouldHaveBeen) {
    auto before = snapshot(10, 1), now = snapshot(11, 2);
    before.ports[0].classes[0].mode = now.ports[0].classes[0].mode = "shadow";
    EXPECT_EQ(make_top(&before, now, TopSort::backlog).classes.at(0).marks, 7);
}

TEST(Top, NoRateFromNothing) {
    const auto now = snapshot(12, 5);
    EXPECT_FALSE(make_top(nullptr, now, TopSort::backlog).ports.at(0).sent_bytes);
    const auto later = snapshot(13, 1); // counters went down: the daemon was restarted
    EXPECT_FALSE(make_top(&now, later, TopSort::backlog).ports.at(0).sent_bytes);
    auto other = snapshot(11, 1);
    other.ports[0].flows = {flow(3, 1, 1)};
    EXPECT_FALSE(make_top(&other, now, TopSort::backlog).flows.at(0).bytes) << "another flow's counter";
    const auto lines = text(top_lines(now, make_top(nullptr, now, TopSort::backlog), TopSort::backlog));
    EXPECT_TRUE(has(lines, " - ")) << lines;
}

TEST(Top, SortsFlowsByWhatWasAsked) {
    const auto before = snapshot(10, 1), now = snapshot(12, 5);
    EXPECT_EQ(make_top(&before, now, TopSort::rate).flows.at(0).flow->bucket, 2u);
    EXPECT_EQ(make_top(&before, now, TopSort::refused).flows.at(0).flow->bucket, 2u);
    EXPECT_EQ(make_top(&before, now, TopSort::backlog).flows.at(0).flow->bucket, 1u);
}

TEST(Top, PrintsPortsClassesAndFlows) {
    const auto before = snapshot(10, 1), now = snapshot(11, 2);
    const auto lines = top_lines(now, make_top(&before, now, TopSort::rate), TopSort::rate);
    EXPECT_EQ(
        text(lines),
        "sluice 0.1.0  p.yaml generation 0\n"
        "ok\n"
        "\n"
        "PORT  DEVICE  CAPACITY   SENT  RECEIVED    RING  SOJOURN  DELAY  MARK/s  DROP/s  LOST/s  PASS/s\n"
        "wan   eth1           -  8Kbit      0bit  7/2000    900us    0ns      10       6       1       0\n"
        "\n"
        "CLASS        MODE       RATE  SERVICE  DELAY  BACKLOG  FLOWS  MARK/s  DROP/s\n"
        "wan default  enforce  16Kbit     0bit    0ns       0b      0      10       6\n"
        "\n"
        "FLOW by rate                   CLASS           RATE  BACKLOG  DELAY  REFUSED/s\n"
        "TCP 10.0.0.1:2 > 10.0.0.2:443  wan default  7.2Kbit     100b    0ns          1\n"
        "TCP 10.0.0.1:1 > 10.0.0.2:443  wan default   800bit    5000b    0ns          0\n");
    EXPECT_EQ(lines[1].style, TopStyle::good);
}

TEST(Top, JsonHasNullForWhatIsNotKnown) {
    const auto now = snapshot(12, 5);
    const auto json = top_json(make_top(nullptr, now, TopSort::backlog));
    EXPECT_TRUE(has(json, "\"sent_bytes_per_s\": null")) << json;
    EXPECT_TRUE(has(json, "\"dport\": 443")) << json;
}

TEST(History, AddsUpWhatAChartCannotShow) {
    auto s = snapshot(1, 1);
    for (int i = 1; i < 20; i++) {
        s.ports[0].classes.push_back(s.ports[0].classes[0]);
        s.ports[0].classes.back().name = "c" + std::to_string(i);
        s.ports[0].classes.back().delay_ns = static_cast<uint64_t>(i);
    }
    const auto point = history_point(s, 5);
    const auto &port = point.ports.at(0);
    ASSERT_EQ(port.classes.size(), kHistoryClasses);
    EXPECT_EQ(port.classes.back().name, "other");
    EXPECT_EQ(port.classes.back().delay_ns, 19u) << "the worst of them";
    uint64_t bytes = 0, marks = 0;
    for (const auto &c : port.classes) {
        bytes += c.admitted_bytes;
        marks += c.outcomes.at(1);
    }
    EXPECT_EQ(bytes, 20 * 2000u);
    EXPECT_EQ(marks, 20 * 10u);
    EXPECT_EQ(port.outcome_names.at(1), "mark");
    EXPECT_EQ(port.occupancy, 7u);
    EXPECT_EQ(port.sojourn_ns, 900'000u);
}

TEST(History, KeepsTheLastMinutesAndAnswersWhatIsNew) {
    History history([] { return Snapshot{}; });
    for (size_t i = 1; i <= kHistoryPoints + 10; i++)
        history.add({static_cast<double>(i), {}});
    EXPECT_EQ(history.since(0).size(), kHistoryPoints);
    EXPECT_EQ(history.since(0).front().unix_s, 11);
    EXPECT_EQ(history.since(static_cast<double>(kHistoryPoints + 8)).size(), 2u);
    EXPECT_EQ(history.since(1e12).size(), 0u);
    EXPECT_TRUE(to_json_text(history.since(1e12)).starts_with("{\"points\":[]}"));
}

// ---- explain

TEST(Explain, ReadsWordsAndNumbers) {
    const auto key = packet_key(
        {{"src", "10.0.0.1"}, {"dst", "10.0.0.2"}, {"dport", "443"}, {"dscp", "EF"}, {"in", "lan"}});
    ASSERT_TRUE(key) << to_string(key.error());
    EXPECT_EQ(key->proto, 6) << "TCP where ports are given and no protocol";
    EXPECT_EQ(key->dscp, 46);
    EXPECT_EQ(key->dport, 443);
    EXPECT_TRUE(key->has_ports);
    EXPECT_EQ(key->src[3], 1);
    EXPECT_EQ(packet_key({{"src", "::1"}, {"dst", "::2"}, {"proto", "udp"}, {"vlan", "7"}})->vlan, 7);
}

TEST(Explain, SaysWhatIsWrongWithAQuery) {
    const std::map<std::string, std::string> good{{"src", "10.0.0.1"}, {"dst", "10.0.0.2"}};
    for (const auto &[name, value] : std::map<std::string, std::string>{{"src", "10.0.0"},
                                                                        {"dst", "::1"},
                                                                        {"dport", "65536"},
                                                                        {"proto", "tcpp"},
                                                                        {"dscp", "64"},
                                                                        {"vlan", "x"},
                                                                        {"sprot", "1"},
                                                                        {"length", "-1"}}) {
        auto query = good;
        query[name] = value;
        EXPECT_FALSE(packet_key(query)) << name << "=" << value;
        Request request{"GET", "/api/v1/explain"};
        request.query = query;
        EXPECT_EQ(respond(request, {}, 0).status, 400u);
    }
    EXPECT_FALSE(packet_key({}));
}

TEST(Explain, SurvivesTheRoundTripAndReadsWell) {
    Explanation e{.ingress_port = "lan",
                  .egress_port = "wan",
                  .mode = "shadow",
                  .class_name = "web",
                  .tenant = "alice"};
    e.policy_file = "p.yaml";
    e.policy_line = 12;
    e.active = true;
    e.bucket = 77;
    e.backlog_bytes = 12300;
    e.delay_ns = 2'100'000;
    e.class_rate_bytes_per_s = 125'000;
    e.now = "forwarded at once";
    e.limits = {"class web: ceil 1mbit (p.yaml:11)", "port wan: 50mbit"};
    const auto back = explanations_from_json(to_json_text(std::vector{e}));
    ASSERT_TRUE(back);
    EXPECT_EQ(format_explanation(back->at(0)),
              "lan -> wan: class web of tenant alice, by the match at p.yaml:12\n"
              "  now     forwarded at once\n"
              "  flow    bucket 77, backlog 12300b, phantom delay 2.1ms\n"
              "  class   1Mbit, 0 backlogged flows, target 0ns, limit 0ns, mode shadow\n"
              "  ring    sojourn 0ns\n"
              "  limits  class web: ceil 1mbit (p.yaml:11)\n"
              "          port wan: 50mbit\n");
}

// ---- the page

std::string file(const std::filesystem::path &path) {
    std::ostringstream out;
    out << std::ifstream(path).rdbuf();
    return out.str();
}

TEST(Web, EveryFileIsServedAsItIs) {
    const std::filesystem::path folder = SLUICE_SOURCE_DIR "/controller/api/web";
    for (const auto &entry : std::filesystem::directory_iterator(folder)) {
        const std::string name = entry.path().filename();
        const auto *asset = find_web_asset(name == "index.html" ? "/" : "/web/" + name);
        ASSERT_TRUE(asset) << name << " is not in web_assets.cpp";
        EXPECT_EQ(asset->body, file(entry.path())) << name;
    }
    EXPECT_EQ(respond({"GET", "/"}, {}, 0).status, 200u);
    EXPECT_EQ(respond({"POST", "/"}, {}, 0).status, 405u);
    EXPECT_EQ(respond({"GET", "/web/"}, {}, 0).status, 404u);
}

TEST(Web, RefersToNothingElsewhereAndNothingInline) {
    for (const auto *path : {"/", "/web/sluice.css", "/web/main.js", "/web/view.js", "/web/chart.js",
                             "/web/series.js", "/web/format.js"}) {
        const std::string body(find_web_asset(path)->body);
        const std::regex address("(https?:)?//[a-z]+\\.[a-z0-9.]+");
        for (std::sregex_iterator i(body.begin(), body.end(), address), end; i != end; ++i)
            EXPECT_EQ(i->str(), "http://www.w3.org") << path << ": only the name of SVG's namespace";
        EXPECT_FALSE(has(body, "style=")) << path << ": refused by the content security policy";
        EXPECT_FALSE(has(body, "innerHTML")) << path << ": data is text";
        EXPECT_FALSE(has(body, " onclick=")) << path;
    }
}

} // namespace
} // namespace sluice
