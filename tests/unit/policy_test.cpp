// The policy loader: every file in data/policy/{good,bad} says in `# expect:` lines what the loader must say
// about it, word for word; what cannot be said in a file, and the values that come out, are tested one by
// one.
#include "policy/load.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>

#include "core/sha256.hpp"
#include "policy/compile.hpp"
#include "policy/keys.hpp"
#include "policy/schema.hpp"

namespace sluice {
namespace {

namespace fs = std::filesystem;

const fs::path source_dir = SLUICE_SOURCE_DIR;
const fs::path data_dir = source_dir / "tests/unit/data/policy";

std::string read_text(const fs::path &path) {
    std::ifstream in(path, std::ios::binary);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
}

// "12:9: error: unknown key `ceiling` in a class; did you mean `ceil`?"
std::string in_one_line(const Diagnostic &d) {
    std::string out = std::to_string(d.pos.line) + ":" + std::to_string(d.pos.column) + ": " +
                      std::string(to_string(d.severity)) + ": " + d.message;
    return d.suggestion.empty() ? out : out + "; did you mean `" + d.suggestion + "`?";
}

std::vector<std::string> expected_in(const std::string &text) {
    static const std::string mark = "# expect: ";
    std::vector<std::string> out;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);)
        if (line.starts_with(mark))
            out.push_back(line.substr(mark.size()));
    return out;
}

std::vector<std::string> said_about(const LoadResult &result) {
    std::vector<std::string> out;
    for (const Diagnostic &d : result.diagnostics)
        out.push_back(in_one_line(d));
    return out;
}

std::vector<fs::path> yaml_files(const fs::path &dir) {
    std::vector<fs::path> out;
    for (const auto &entry : fs::directory_iterator(dir))
        if (entry.path().extension() == ".yaml")
            out.push_back(entry.path());
    std::sort(out.begin(), out.end());
    return out;
}

std::string all_messages(const LoadResult &result) {
    std::string out;
    for (const Diagnostic &d : result.diagnostics)
        out += format(d) + "\n";
    return out;
}

// A policy with one transition whose inner part is `rest`, indented by four.
LoadResult load_with(const std::string &transition, const std::string &wan = "{device: eth1}") {
    return load_policy_text("version: 1\nports:\n  lan: {device: eth0}\n  wan: " + wan +
                                "\ntransitions:\n  - from: lan\n    to: wan\n" + transition,
                            "test.yaml");
}

TEST(Golden, good_files_load) {
    const auto files = yaml_files(data_dir / "good");
    ASSERT_GE(files.size(), 3u);
    for (const fs::path &path : files) {
        const LoadResult result = load_policy_file(path);
        EXPECT_TRUE(result.policy) << all_messages(result);
        EXPECT_EQ(said_about(result), expected_in(read_text(path))) << path;
    }
}

TEST(Golden, bad_files_are_refused_for_the_right_reasons) {
    const auto files = yaml_files(data_dir / "bad");
    ASSERT_GE(files.size(), 20u);
    for (const fs::path &path : files) {
        const auto expected = expected_in(read_text(path));
        EXPECT_FALSE(expected.empty()) << path << " expects nothing";
        const LoadResult result = load_policy_file(path);
        EXPECT_FALSE(result.policy) << path;
        EXPECT_EQ(said_about(result), expected) << path;
    }
}

TEST(Golden, examples_load_without_a_word) {
    const auto files = yaml_files(source_dir / "policies");
    ASSERT_GE(files.size(), 5u);
    for (const fs::path &path : files) {
        const LoadResult result = load_policy_file(path);
        EXPECT_TRUE(result.policy) << path;
        EXPECT_TRUE(result.diagnostics.empty()) << all_messages(result);
        EXPECT_TRUE(read_text(path).starts_with("# yaml-language-server: $schema=./schema.json\n")) << path;
    }
}

TEST(Values, defaults) {
    const LoadResult result = load_with("");
    ASSERT_TRUE(result.policy) << all_messages(result);
    const Policy &p = *result.policy;
    EXPECT_EQ(p.file, "test.yaml");
    ASSERT_EQ(p.ports.size(), 2u);
    EXPECT_FALSE(p.ports[1].rate_bytes_per_s);
    EXPECT_EQ(p.ports[1].overhead.bytes, 24u);
    EXPECT_EQ(p.ports[1].overhead.mpu, 84u);
    ASSERT_EQ(p.transitions.size(), 1u);
    const Transition &t = p.transitions[0];
    EXPECT_EQ(t.from, std::vector<std::string>{"lan"});
    EXPECT_EQ(t.to, "wan");
    EXPECT_EQ(t.forward, Forward::fib);
    EXPECT_EQ(t.mode, Mode::enforce);
    EXPECT_EQ(t.isolate, Isolate::flow);
    EXPECT_EQ(t.on_controller_loss, OnControllerLoss::keep);
    EXPECT_FALSE(t.aqm.target_ns || t.aqm.interval_ns || t.aqm.limit_ns || t.aqm.l4s_step_ns);
    EXPECT_TRUE(t.aqm.ecn);
    ASSERT_EQ(t.classes.size(), 1u);
    EXPECT_EQ(t.classes[0].name, "default");
    EXPECT_EQ(t.classes[0].when_full, (std::vector{Verdict::mark, Verdict::drop}));
    EXPECT_EQ(t.pos.line, 6);
    EXPECT_EQ(t.pos.column, 5);
}

TEST(Values, ports_and_overheads) {
    const struct {
        const char *text;
        uint32_t bytes, mpu;
        bool cells;
    } cases[] = {
        {"ethernet", 24, 84, false},   {"docsis", 4, 64, false},
        {"ptm", 8, 0, false},          {"atm", 18, 0, true},
        {"none", 0, 0, false},         {"30", 30, 0, false},
        {"{bytes: 28}", 28, 0, false}, {"{bytes: 28, mpu: 84}", 28, 84, false},
    };
    for (const auto &c : cases) {
        const LoadResult result =
            load_with("", "{device: eth1, rate: 50mbit, overhead: " + std::string(c.text) + "}");
        ASSERT_TRUE(result.policy) << all_messages(result);
        const Port &wan = result.policy->ports[1];
        EXPECT_EQ(wan.rate_bytes_per_s, 6'250'000u);
        EXPECT_EQ(wan.overhead.bytes, c.bytes) << c.text;
        EXPECT_EQ(wan.overhead.mpu, c.mpu) << c.text;
        EXPECT_EQ(wan.overhead.cells, c.cells) << c.text;
    }
}

TEST(Values, transition) {
    const LoadResult result = load_with(R"(
    forward: xconnect
    mode: shadow
    isolate: dsthost
    on_controller_loss: bypass
    aqm: {law: codel, target: 2ms, interval: 40ms, limit: auto, ecn: false, l4s: {step: 500us}}
)");
    ASSERT_TRUE(result.policy) << all_messages(result);
    const Transition &t = result.policy->transitions[0];
    EXPECT_EQ(t.forward, Forward::xconnect);
    EXPECT_EQ(t.mode, Mode::shadow);
    EXPECT_EQ(t.isolate, Isolate::dsthost);
    EXPECT_EQ(t.on_controller_loss, OnControllerLoss::bypass);
    EXPECT_EQ(t.aqm.target_ns, 2'000'000u);
    EXPECT_EQ(t.aqm.interval_ns, 40'000'000u);
    EXPECT_FALSE(t.aqm.limit_ns);
    EXPECT_FALSE(t.aqm.ecn);
    EXPECT_EQ(t.aqm.l4s_step_ns, 500'000u);
}

TEST(Values, ports_of_library_mode_get_no_program_of_ours) {
    const LoadResult result = load_policy_file(source_dir / "tests/unit/data/policy/good/library.yaml");
    ASSERT_TRUE(result.policy) << all_messages(result);
    const CompiledPolicy compiled = compile(*result.policy);
    ASSERT_EQ(compiled.transitions.size(), 3u);
    EXPECT_TRUE(compiled.transitions[0].from.empty());
    EXPECT_TRUE(compiled.transitions[1].from.empty());
    EXPECT_EQ(compiled.transitions[2].from, std::vector<uint32_t>{1}) << "dmz is served by us";
}

TEST(Values, classes_and_matches) {
    const LoadResult result = load_with(R"(
    classes:
      - name: voice
        match: [{dscp: [ef, cs5, 4]}, {proto: [udp, 136], sport: 5060, dport: 10000-20000}]
        priority: 0
        min: 2mbit
        ceil: 10%
      - {name: v6, match: [{src: "2001:db8::/33", dst: 2001:db8::1}], when_full: drop}
      - {name: v4, match: [{dst: 203.0.113.128/25}, {src: 0.0.0.0/0}], weight: 7}
      - {name: default, weight: 4}
)");
    ASSERT_TRUE(result.policy) << all_messages(result);
    const auto &classes = result.policy->transitions[0].classes;
    ASSERT_EQ(classes.size(), 4u);
    const TrafficClass &voice = classes[0];
    EXPECT_EQ(voice.priority, 0);
    EXPECT_EQ(voice.min_bytes_per_s, 250'000u);
    EXPECT_FALSE(voice.min_fraction);
    EXPECT_EQ(voice.ceil_fraction, 0.1);
    EXPECT_FALSE(voice.ceil_bytes_per_s);
    ASSERT_EQ(voice.match.size(), 2u);
    EXPECT_EQ(voice.match[0].dscp, (std::vector<uint8_t>{46, 40, 4}));
    EXPECT_EQ(voice.match[1].proto, (std::vector<uint8_t>{17, 136}));
    EXPECT_EQ(voice.match[1].sport->first, 5060);
    EXPECT_EQ(voice.match[1].sport->last, 5060);
    EXPECT_EQ(voice.match[1].dport->last, 20000);
    const Match &v6 = classes[1].match.at(0);
    EXPECT_EQ(v6.src.at(0).family, 6);
    EXPECT_EQ(v6.src.at(0).length, 33);
    EXPECT_EQ(v6.src.at(0).address[2], 0x0d);
    EXPECT_EQ(v6.dst.at(0).length, 128);
    EXPECT_EQ(classes[1].when_full, std::vector{Verdict::drop});
    const Match &v4 = classes[2].match.at(0);
    EXPECT_EQ(v4.dst.at(0).family, 4);
    EXPECT_EQ(v4.dst.at(0).length, 25);
    EXPECT_EQ(v4.dst.at(0).address[3], 128);
    EXPECT_EQ(classes[2].match.at(1).src.at(0).length, 0);
    EXPECT_EQ(classes[2].weight, 7u);
    EXPECT_EQ(classes[3].weight, 4u);
}

TEST(Values, xdp_mode_of_a_port) {
    const auto with = [](const std::string &key) {
        return load_policy_text("version: 1\nports:\n  lan: {device: eth0" + key +
                                    "}\n  wan: {device: eth1}\ntransitions:\n  - {from: lan, to: wan}\n",
                                "test.yaml");
    };
    for (const auto &[key, choice] : {std::pair("", XdpChoice::automatic),
                                      {", xdp: auto", XdpChoice::automatic},
                                      {", xdp: native", XdpChoice::native},
                                      {", xdp: generic", XdpChoice::generic},
                                      {", xdp: tc", XdpChoice::tc}}) {
        const LoadResult result = with(key);
        ASSERT_TRUE(result.policy) << all_messages(result);
        EXPECT_EQ(result.policy->ports[0].xdp, choice) << key;
        EXPECT_EQ(result.policy->ports[1].xdp, XdpChoice::automatic);
    }
    EXPECT_FALSE(with(", xdp: offload").policy);
    EXPECT_TRUE(with(", attach: dispatcher").policy);
    EXPECT_FALSE(with(", attach: dispatcher, xdp: tc").policy);
}

TEST(Values, ways_out_of_a_full_queue) {
    const LoadResult result = load_policy_text(R"(version: 1
ports:
  lan: {device: eth0}
  wan: {device: eth1}
  lte: {device: eth2, next_hop: [192.0.2.1, "2001:db8::1"]}
transitions:
  - from: lan
    to: wan
    overflow: [lte]
    flowlet: 20ms
    classes:
      - {name: a, match: [{dscp: ef}], when_full: [mark, trim, reroute, drop], trim: {size: 256, dscp: cs6}}
      - {name: default, when_full: [bounce, spill, drop]}
  - {from: lan, to: lte}
)",
                                               "test.yaml");
    ASSERT_TRUE(result.policy) << all_messages(result);
    const CompiledPolicy compiled = compile(*result.policy);
    const CompiledTransition &t = compiled.transitions[0];
    EXPECT_EQ(t.classes[0].ways, SLUICE_WAY_TRIM | SLUICE_WAY_REROUTE << SLUICE_WAY_BITS);
    EXPECT_TRUE(t.classes[0].mark);
    EXPECT_EQ(t.classes[0].trim_bytes, 256);
    EXPECT_EQ(t.classes[0].trim_dscp, SLUICE_REMARK | 48);
    EXPECT_EQ(t.classes[1].ways, SLUICE_WAY_BOUNCE | SLUICE_WAY_SPILL << SLUICE_WAY_BITS);
    EXPECT_FALSE(t.classes[1].mark);
    EXPECT_EQ(t.classes[1].trim_bytes, 128);
    EXPECT_EQ(t.classes[1].trim_dscp, 0);
    EXPECT_EQ(t.image.flowlet, SLUICE_AWAY_TICK(20'000'000));
    ASSERT_EQ(t.image.overflow_count, 1u);
    EXPECT_EQ(t.image.overflow[0], 1u);
    EXPECT_EQ(t.image.next_hop4, 0u);
    const uint8_t hop[] = {192, 0, 2, 1};
    EXPECT_EQ(std::memcmp(&compiled.transitions[1].image.next_hop4, hop, 4), 0);
    EXPECT_NE(compiled.transitions[1].image.next_hop6[0], 0u);
    EXPECT_EQ(compiled.transitions[1].image.overflow_count, 0u);
    EXPECT_EQ(compiled.transitions[1].classes[0].ways, 0u);
}

TEST(Values, a_wire_may_overflow_into_a_second_one) {
    const LoadResult result = load_policy_text(R"(version: 1
ports: {a: {device: eth0}, b: {device: eth1}, c: {device: eth2}}
transitions:
  - {from: a, to: b, forward: xconnect, overflow: c, classes: [{name: default, when_full: [reroute, drop]}]}
  - {from: a, to: c, forward: xconnect}
)",
                                               "test.yaml");
    EXPECT_TRUE(result.policy) << all_messages(result);
}

TEST(Values, a_flow_is_away_for_half_a_second_at_most) {
    EXPECT_TRUE(load_with("    flowlet: 500ms\n").policy);
    EXPECT_FALSE(load_with("    flowlet: 501ms\n").policy);
}

TEST(Values, aliases_are_expanded) {
    const LoadResult result = load_policy_text(R"(version: 1
ports: {a: {device: eth0}, b: {device: eth1}, c: {device: eth2}}
transitions:
  - {from: a, to: b, aqm: &slow {target: 20ms}}
  - {from: a, to: c, aqm: *slow}
)",
                                               "test.yaml");
    ASSERT_TRUE(result.policy) << all_messages(result);
    EXPECT_EQ(result.policy->transitions[1].aqm.target_ns, 20'000'000u);
}

TEST(Text, carriage_returns_and_byte_order_mark_are_read) {
    const std::string text =
        "\xef\xbb\xbfversion: 1\r\nports: {a: {device: eth0}, b: {device: eth1, rat: 1mbit}}\r\n"
        "transitions:\r\n  - {from: a, to: b}\r\n";
    const LoadResult result = load_policy_text(text, "test.yaml");
    ASSERT_EQ(said_about(result),
              std::vector<std::string>{"2:46: error: unknown key `rat` in port `b`; did you mean `rate`?"});
    EXPECT_EQ(result.diagnostics[0].source_line, "ports: {a: {device: eth0}, b: {device: eth1, rat: 1mbit}}");
}

TEST(Text, sha256_is_of_the_bytes) {
    const std::string text =
        "version: 1\nports: {a: {device: x}, b: {device: y}}\ntransitions: [{from: a, to: b}]\n";
    EXPECT_EQ(load_policy_text(text, "x").policy.value().sha256, sha256_hex(text));
    EXPECT_EQ(load_policy_text("\xef\xbb\xbf" + text, "x").policy.value().sha256,
              sha256_hex("\xef\xbb\xbf" + text));
}

TEST(Text, what_is_not_text_is_refused) {
    const struct {
        std::string text;
        const char *message;
    } cases[] = {
        {"version: 1\n# \x1b[31m\n", "a control character in line 2"},
        {std::string("a\0b", 3), "a control character in line 1"},
        {"a: \xc2\x9b", "a control character in line 1"},
        {"\n\n\xff", "bytes that are not UTF-8 in line 3"},
        {"\xc0\xaf", "bytes that are not UTF-8 in line 1"},
        {"\xed\xa0\x80", "bytes that are not UTF-8 in line 1"},
        {"\xf4\x90\x80\x80", "bytes that are not UTF-8 in line 1"},
        {"a: \xe2\x82", "bytes that are not UTF-8 in line 1"},
        {std::string((1 << 20) + 1, '#'),
         "the policy is larger than 1 MiB; many tenants go into `tenants.file`"},
        {"", "the policy is empty"},
        {"# nothing\n", "the policy is empty"},
    };
    for (const auto &c : cases) {
        const LoadResult result = load_policy_text(c.text, "x");
        EXPECT_FALSE(result.policy);
        ASSERT_EQ(result.diagnostics.size(), 1u) << c.message;
        EXPECT_EQ(result.diagnostics[0].message, c.message);
    }
}

TEST(Limits, alias_bomb_is_refused) {
    std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
    for (int i = 1; i < 20; i++) {
        const std::string item = "*a" + std::to_string(i - 1);
        text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + item;
        for (int k = 0; k < 9; k++)
            text += ", " + item;
        text += "]\n";
    }
    const LoadResult result = load_policy_text(text, "x");
    ASSERT_EQ(result.diagnostics.size(), 1u);
    EXPECT_EQ(result.diagnostics[0].message, "the policy has more than 20000 nodes");
}

TEST(Limits, deep_and_long_texts_are_refused) {
    for (const std::string &text :
         {std::string(100'000, '['), std::string(100'000, '{'), "a: " + std::string(5'000, '-')}) {
        const LoadResult result = load_policy_text(text, "x");
        EXPECT_FALSE(result.policy);
        EXPECT_FALSE(result.diagnostics.empty());
    }
}

TEST(Limits, errors_are_capped) {
    std::string text = "version: 1\n";
    for (int i = 0; i < 200; i++)
        text += "x" + std::to_string(i) + ": 1\n";
    const LoadResult result = load_policy_text(text, "x");
    ASSERT_EQ(result.diagnostics.size(), 51u);
    EXPECT_EQ(result.diagnostics.back().message, "152 more errors are not shown");
}

TEST(File, errors_name_the_file) {
    const LoadResult result = load_policy_file("/nonexistent/policy.yaml");
    ASSERT_EQ(result.diagnostics.size(), 1u);
    EXPECT_EQ(format(result.diagnostics[0]),
              "/nonexistent/policy.yaml: error: cannot open the file: No such file or directory");
    EXPECT_EQ(load_policy_file("/").diagnostics.at(0).message, "not a regular file");
    EXPECT_EQ(load_policy_file("/dev/zero").diagnostics.at(0).message, "not a regular file");
}

TEST(File, writable_by_everybody_is_refused) {
    std::string path = testing::TempDir() + "sluice-policy-XXXXXX";
    const int fd = mkstemp(path.data());
    ASSERT_GE(fd, 0);
    close(fd);
    std::ofstream(path)
        << "version: 1\nports: {a: {device: x}, b: {device: y}}\ntransitions: [{from: a, to: b}]\n";
    chmod(path.c_str(), 0666);
    const LoadResult open_to_all = load_policy_file(path);
    chmod(path.c_str(), 0644);
    const LoadResult safe = load_policy_file(path);
    unlink(path.c_str());
    EXPECT_FALSE(open_to_all.policy);
    ASSERT_EQ(open_to_all.diagnostics.size(), 1u);
    EXPECT_NE(open_to_all.diagnostics[0].message.find("chmod o-w " + path), std::string::npos);
    ASSERT_TRUE(safe.policy);
    EXPECT_TRUE(safe.diagnostics.empty());
}

TEST(Format, shows_the_line_and_the_caret) {
    const LoadResult result = load_with("    classes:\n\t# tab\n      - {name: default, ciel: 10%}\n");
    ASSERT_EQ(result.diagnostics.size(), 1u);
    EXPECT_EQ(format(result.diagnostics[0]), "test.yaml:10:25: error: unknown key `ciel` in a class\n"
                                             "      - {name: default, ciel: 10%}\n"
                                             "                        ^ did you mean `ceil`?");
}

TEST(Format, keeps_tabs_and_counts_characters) {
    const Diagnostic d{"f", {1, 8}, Diagnostic::warning, "m", "", "\ta\u00e9\u20acx"}; // the `x`, in bytes
    EXPECT_EQ(format(d), "f:1:8: warning: m\n\ta\u00e9\u20acx\n\t   ^");
}

TEST(Format, caret_is_right_behind_other_scripts) {
    const LoadResult result =
        load_policy_text("version: 1\nports: {a: {device: \"\u00e9\u20ac\", rat: 1mbit}, b: {device: x}}\n"
                         "transitions: [{from: a, to: b}]\n",
                         "f");
    ASSERT_EQ(result.diagnostics.size(), 1u);
    EXPECT_EQ(format(result.diagnostics[0]),
              "f:2:30: error: unknown key `rat` in port `a`\n"
              "ports: {a: {device: \"\u00e9\u20ac\", rat: 1mbit}, b: {device: x}}\n"
              "                          ^ did you mean `rate`?");
}

// Generated files. SLUICE_UPDATE=1 in the environment writes them instead of comparing.
void expect_file(const fs::path &path, const std::string &wanted) {
    if (std::getenv("SLUICE_UPDATE"))
        std::ofstream(path, std::ios::binary) << wanted;
    EXPECT_TRUE(read_text(path) == wanted) << path << " is out of date: run this test with SLUICE_UPDATE=1";
}

TEST(Generated, schema_is_up_to_date) {
    expect_file(source_dir / "policies/schema.json", policy_schema_json());
}

TEST(Generated, reference_is_up_to_date) {
    const fs::path path = source_dir / "docs/policy.md";
    const std::string begin = "<!-- keys: generated, do not edit -->\n", end = "<!-- end of keys -->";
    const std::string text = read_text(path);
    const size_t from = text.find(begin), to = text.find(end);
    ASSERT_TRUE(from != std::string::npos && to != std::string::npos && from < to);
    expect_file(path,
                text.substr(0, from) + begin + "\n" + policy_reference_markdown() + "\n" + text.substr(to));
}

void expect_closed_objects(const nlohmann::json &schema, const nlohmann::json &definitions) {
    if (schema.is_object() && schema.contains("properties")) {
        EXPECT_EQ(schema.at("additionalProperties"), false);
    }
    if (schema.is_object() && schema.contains("$ref")) {
        const std::string target = schema.at("$ref").get<std::string>();
        ASSERT_TRUE(target.starts_with("#/definitions/"));
        EXPECT_TRUE(definitions.contains(target.substr(14))) << target;
        EXPECT_EQ(schema.size(), 1u) << "draft-07 ignores what stands beside a $ref";
    }
    for (const auto &child : schema)
        if (child.is_structured())
            expect_closed_objects(child, definitions);
}

TEST(Generated, schema_is_draft_07_and_closed) {
    const auto schema = nlohmann::json::parse(policy_schema_json());
    EXPECT_EQ(schema.at("$schema"), "http://json-schema.org/draft-07/schema#");
    EXPECT_EQ(schema.at("required"), (nlohmann::json{"version", "ports", "transitions"}));
    expect_closed_objects(schema, schema.at("definitions"));
}

TEST(Generated, every_key_is_described) {
    for (const Section &section : policy_sections())
        for (const Key &key : section.keys) {
            EXPECT_FALSE(key.meaning.empty() || key.example.empty()) << section.name << "." << key.name;
            EXPECT_EQ(key.meaning.find('|'), std::string_view::npos) << "would break the Markdown table";
        }
}

} // namespace
} // namespace sluice
