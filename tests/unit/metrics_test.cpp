// The metrics catalogue: naming rules of Prometheus, completeness, text format, and docs/metrics.md in step.
// After a change of the catalogue: SLUICE_UPDATE_DOCS=1 metrics_test writes the table into docs/metrics.md.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include <gtest/gtest.h>

#include <sluice/histogram.h>

#include "metrics/catalogue.hpp"

namespace sluice {
namespace {

constexpr const char *docs_file = SLUICE_SOURCE_DIR "/docs/metrics.md";

Snapshot example() {
    Snapshot s{.version = "0.1.0",
               .policy_file = "/etc/sluice/p.yaml",
               .policy_sha256 = "abc",
               .policy_generation = 3};
    s.reloads_ok = 2;
    s.heartbeat_unix_s = 1.7e9;
    s.health = "ok";
    PortState wan{
        .name = "wan", .device = "eth1", .ifindex = 4, .up = true, .driver = "tun", .ring_reader = "tun"};
    wan.policy_rate_bytes_per_s = 6'250'000;
    wan.drain_bytes_per_s = 6'000'000;
    wan.rings = {
        {.index = 0, .size = 1000, .occupancy = 3, .sojourn_ns = 700'000, .drained_bytes = (1ull << 53) - 1}};
    wan.passed = {{"pass_arp", 0}};
    wan.kernel_drops = {{"ring_full", 0}, {"no_device", 0}};
    wan.classes = {{.transition = "wan", .name = "default", .admitted_packets = 12}};
    wan.classes[0].outcomes = {{"forward", 12}, {"mark", 0}, {"drop_codel", 0}};
    wan.classes[0].delays = {std::vector<uint64_t>(SLUICE_DELAY_BUCKETS), 2'000'000};
    wan.classes[0].delays.frames[0] = 9;                        // at most 4.096 us
    wan.classes[0].delays.frames[8] = 2;                        // about a millisecond
    wan.classes[0].delays.frames[SLUICE_DELAY_BUCKETS - 1] = 1; // more than a second
    wan.sojourn = {std::vector<uint64_t>(SLUICE_DELAY_BUCKETS), 0};
    s.ports = {wan, PortState{.name = "lan", .device = "eth0"}};
    PortState &spills = s.ports.back();
    spills.slow_packets = 12;
    spills.slow_bytes = 18'000;
    spills.spill_rate_bytes_per_s = 1'000'000;
    spills.spill_waiting_packets = 3;
    spills.pause_frames = 7;
    return s;
}

// Value of the series as text, or "" when it is not there.
std::string value_of(const std::string &exposition, const std::string &series) {
    std::istringstream in("\n" + exposition);
    for (std::string line; std::getline(in, line);)
        if (line.starts_with(series + " "))
            return line.substr(series.size() + 1);
    return {};
}

std::string file_text(const std::string &path) {
    std::ifstream in(path);
    return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<std::string> words_of(const std::string &name) {
    std::vector<std::string> words;
    std::istringstream in(name);
    for (std::string word; std::getline(in, word, '_');)
        words.push_back(word);
    return words;
}

TEST(Metrics, NamesFollowTheConventions) {
    const std::set<std::string> scaled_units{"ms",           "us",          "ns",  "milliseconds",
                                             "microseconds", "nanoseconds", "bit", "bits",
                                             "kb",           "kib",         "mb",  "percent"};
    std::set<std::string> seen;
    for (const auto &m : metric_catalogue()) {
        EXPECT_TRUE(m.name.starts_with("sluice_") || m.name.starts_with("process_")) << m.name;
        EXPECT_EQ(m.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz_"), std::string::npos) << m.name;
        for (const auto &word : words_of(m.name))
            EXPECT_FALSE(word.empty() || scaled_units.contains(word)) << m.name << ": base units only";
        EXPECT_TRUE(seen.insert(m.name).second) << m.name << " is there twice";
        EXPECT_EQ(m.name.ends_with("_total"), m.kind == MetricKind::counter) << m.name;
        EXPECT_FALSE(m.help.empty()) << m.name;
        EXPECT_EQ(m.help.find_first_of("\n|"), std::string::npos) << m.name << ": help is one table cell";
        for (const auto *suffix : {"_count", "_sum", "_bucket"})
            EXPECT_FALSE(m.name.ends_with(suffix)) << m.name << ": reserved for histograms";
    }
}

TEST(Metrics, UnitIsPartOfTheName) {
    const std::map<std::string, std::string> ending{{"seconds", "_seconds"},
                                                    {"bytes", "_bytes"},
                                                    {"bytes/s", "_bytes_per_second"},
                                                    {"packets", "_packets"}};
    for (const auto &m : metric_catalogue()) {
        const auto unit = ending.find(m.unit);
        if (unit == ending.end())
            continue;
        const auto expected = unit->second + (m.kind == MetricKind::counter ? "_total" : "");
        EXPECT_TRUE(m.name.ends_with(expected)) << m.name << " should end with " << expected;
    }
}

TEST(Metrics, LabelsAreFromTheClosedSet) {
    const std::set<std::string> known{"device", "port",   "transition", "class",       "reason",
                                      "ring",   "result", "version",    "file",        "generation",
                                      "sha256", "driver", "hook",       "ring_reader", "xdp_mode"};
    for (const auto &m : metric_catalogue())
        for (const auto &label : m.labels)
            EXPECT_TRUE(known.contains(label)) << m.name << "{" << label << "}";
}

TEST(Metrics, EverySampleHasItsLabelsAndNoSeriesComesTwice) {
    const auto snapshot = example();
    const auto process = read_process_stats();
    for (const auto &m : metric_catalogue()) {
        std::set<std::vector<std::string>> seen;
        const auto samples = m.collect({snapshot, process});
        EXPECT_FALSE(samples.empty()) << m.name << " has no sample in the full example";
        for (const auto &sample : samples) {
            EXPECT_EQ(sample.label_values.size(), m.labels.size()) << m.name;
            EXPECT_TRUE(seen.insert(sample.label_values).second) << m.name;
        }
    }
}

TEST(Metrics, RendersValuesInBaseUnits) {
    const auto text = render_metrics(example());
    EXPECT_EQ(value_of(text, "sluice_up"), "1");
    EXPECT_EQ(value_of(text, R"(sluice_ring_sojourn_seconds{device="eth1",port="wan",ring="0"})"), "0.0007");
    EXPECT_EQ(value_of(text, R"(sluice_policy_info{file="/etc/sluice/p.yaml",generation="3",sha256="abc"})"),
              "1");
    EXPECT_EQ(value_of(text, R"(sluice_policy_reloads_total{result="applied"})"), "2");
    EXPECT_EQ(value_of(text, R"(sluice_port_policy_rate_bytes_per_second{device="eth1",port="wan"})"),
              "6250000");
}

TEST(Metrics, HistogramsAreCumulative) {
    const auto text = render_metrics(example());
    const std::string name = "sluice_class_phantom_delay_seconds";
    const std::string labels = R"(device="eth1",transition="wan",class="default")";
    const auto bucket = [&](const std::string &bound) {
        return value_of(text, name + "_bucket{" + labels + ",le=\"" + bound + "\"}");
    };
    EXPECT_EQ(value_of(text, name + "_count{" + labels + "}"), "12");
    EXPECT_EQ(value_of(text, name + "_sum{" + labels + "}"), "0.002");
    EXPECT_EQ(bucket("4.096e-06"), "9");
    EXPECT_EQ(bucket("0.000524288"), "9");
    EXPECT_EQ(bucket("0.001048576"), "11");
    EXPECT_EQ(bucket("1.073741824"), "11");
    EXPECT_EQ(bucket("+Inf"), "12");
    EXPECT_EQ(value_of(text, R"(sluice_ring_delay_seconds_count{device="eth1",port="wan"})"), "0")
        << "there from the start";
    EXPECT_EQ(value_of(text, R"(sluice_ring_delay_seconds_count{device="eth0",port="lan"})"), "")
        << "nothing reads that ring";
}

TEST(Metrics, BucketsHoldWhatTheirBoundsSay) {
    const auto bounds = delay_bounds_s();
    ASSERT_EQ(bounds.size() + 1, size_t{SLUICE_DELAY_BUCKETS});
    const auto expected = [&](uint64_t ns) {
        size_t i = 0;
        while (i < bounds.size() && static_cast<double>(ns) > bounds[i] * 1e9)
            i++;
        return i;
    };
    for (int shift = 0; shift < 64; shift++)
        for (const int64_t d : {-1, 0, 1}) {
            const uint64_t ns = (1ull << shift) + static_cast<uint64_t>(d);
            EXPECT_EQ(sluice_delay_bucket(ns), expected(ns)) << ns;
        }
    EXPECT_EQ(sluice_delay_bucket(~0ull), SLUICE_DELAY_BUCKETS - 1u);
}

TEST(Metrics, CountersAreExactUpTo53Bits) {
    const auto text = render_metrics(example());
    const auto value =
        value_of(text, R"(sluice_ring_drained_bytes_total{device="eth1",port="wan",ring="0"})");
    EXPECT_EQ(std::strtod(value.c_str(), nullptr), 9007199254740991.0) << value;
}

TEST(Metrics, ReasonsThatNeverOccurredAreThereAsZero) {
    const auto text = render_metrics(example());
    EXPECT_EQ(value_of(text, R"(sluice_policy_reloads_total{result="failed"})"), "0");
    EXPECT_EQ(
        value_of(text, R"(sluice_kernel_drop_packets_total{device="eth1",port="wan",reason="ring_full"})"),
        "0");
    EXPECT_EQ(
        value_of(
            text,
            R"(sluice_class_outcome_packets_total{device="eth1",transition="wan",class="default",reason="mark"})"),
        "0");
}

TEST(Metrics, UnknownIsAbsentNotZero) {
    const auto text = render_metrics(example());
    EXPECT_EQ(value_of(text, R"(sluice_port_policy_rate_bytes_per_second{device="eth0",port="lan"})"), "");
    EXPECT_EQ(value_of(text, R"(sluice_port_drain_bytes_per_second{device="eth0",port="lan"})"), "");
    EXPECT_EQ(value_of(text, R"(sluice_port_up{device="eth0",port="lan"})"), "0");
}

TEST(Metrics, DegradedIsNotUp) {
    auto snapshot = example();
    snapshot.health = "degraded: port wan: no ring reader";
    snapshot.ports[0].degraded = "no ring reader";
    const auto text = render_metrics(snapshot);
    EXPECT_EQ(value_of(text, "sluice_up"), "0");
    EXPECT_EQ(value_of(text, R"(sluice_port_degraded{device="eth1",port="wan"})"), "1");
}

TEST(Metrics, LabelValuesAreEscaped) {
    auto snapshot = example();
    snapshot.policy_file = "a\"b\\c\nd";
    EXPECT_EQ(value_of(render_metrics(snapshot),
                       R"(sluice_policy_info{file="a\"b\\c\nd",generation="3",sha256="abc"})"),
              "1");
}

TEST(Metrics, ProcessIsDescribed) {
    const auto first = read_process_stats(), second = read_process_stats();
    EXPECT_GT(first.resident_bytes.value_or(0), 1u << 20);
    EXPECT_GE(first.open_fds.value_or(0), 3u);
    EXPECT_GT(first.start_time_unix_s.value_or(0), 1.6e9);
    EXPECT_EQ(first.start_time_unix_s, second.start_time_unix_s) << "must not drift: alerts use changes()";
}

TEST(Metrics, PromtoolAcceptsTheText) {
    FILE *promtool = popen("promtool check metrics", "w");
    ASSERT_NE(promtool, nullptr);
    std::fputs(render_metrics(example()).c_str(), promtool);
    EXPECT_EQ(pclose(promtool), 0) << "promtool is in the package prometheus; ./dev test installs it";
}

TEST(Metrics, DocsTableIsInStep) {
    const std::string begin = "<!-- catalogue:begin, generated -->\n", end = "<!-- catalogue:end -->";
    const auto text = file_text(docs_file);
    const auto from = text.find(begin), to = text.find(end);
    ASSERT_TRUE(from != std::string::npos && to != std::string::npos) << docs_file << " has lost its markers";
    const auto table_from = from + begin.size();
    if (std::getenv("SLUICE_UPDATE_DOCS"))
        std::ofstream(docs_file) << text.substr(0, table_from) << metrics_markdown() << text.substr(to);
    else
        EXPECT_EQ(text.substr(table_from, to - table_from), metrics_markdown())
            << "stale: run this test with SLUICE_UPDATE_DOCS=1";
}

} // namespace
} // namespace sluice
