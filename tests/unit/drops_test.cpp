// Explained verdicts: names as the policy of their generation had them, a bounded store, JSON, lines, pcapng.
#include <cstring>
#include <sstream>

#include <gtest/gtest.h>

#include "api/json.hpp"
#include "api/routes.hpp"
#include "cli/drop_format.hpp"
#include "cli/pcapng.hpp"
#include "policy/load.hpp"
#include "telemetry/drops.hpp"

namespace sluice {
namespace {

CompiledPolicy policy(const std::string &bulk = "bulk") {
    const auto loaded = load_policy_text("version: 1\n"
                                         "ports:\n"
                                         "  lan: {device: eth0}\n"
                                         "  wan: {device: eth1}\n"
                                         "transitions:\n"
                                         "  - from: [lan]\n"
                                         "    to: wan\n"
                                         "    classes:\n"
                                         "      - name: " +
                                             bulk +
                                             "\n"
                                             "        match: [{dscp: [cs1]}]\n"
                                             "      - name: default\n",
                                         "p.yaml");
    EXPECT_TRUE(loaded.policy);
    return compile(*loaded.policy);
}

sluice_event event(uint32_t class_id = 0) {
    sluice_event e{};
    e.kind = SLUICE_EVENT_VERDICT;
    e.time_ns = 2'000'000'000;
    e.egress_port = 1;
    e.class_id = class_id;
    e.bucket = 77;
    e.outcome = SLUICE_DROP_LIMIT;
    e.length = 1266;
    e.delay_ns = 10'400'000;
    e.ring_size = 1000;
    e.ring_occupancy = 3;
    e.ring_sojourn_ns = 700'000;
    e.family = 4;
    e.proto = 17;
    const uint8_t src[] = {10, 0, 0, 1}, dst[] = {10, 0, 0, 2};
    std::memcpy(e.src, src, 4);
    std::memcpy(e.dst, dst, 4);
    e.sport = 4000;
    e.dport = 53;
    e.frame_length = 1242;
    e.captured = 128;
    for (unsigned i = 0; i < sizeof(e.frame); i++)
        e.frame[i] = static_cast<uint8_t>(i);
    return e;
}

DropRecord record(uint32_t class_id = 0) {
    DropNames names;
    names.use(policy(), 0);
    return names.explain(event(class_id), 0);
}

bool has(const std::string &text, const std::string &part) {
    return text.find(part) != std::string::npos;
}

TEST(DropNames, NamesPortsClassAndItsLine) {
    const auto r = record();
    EXPECT_EQ(r.reason, "drop_limit");
    EXPECT_EQ(r.ingress_port + " " + r.egress_port, "lan wan");
    EXPECT_EQ(r.class_name, "bulk");
    EXPECT_EQ(r.policy_file, "p.yaml");
    EXPECT_EQ(r.policy_line, 9);
    EXPECT_EQ(r.src + " " + r.dst, "10.0.0.1 10.0.0.2");
    EXPECT_EQ(r.frame.size(), 128u);
}

TEST(DropNames, ALateEventOfTheOldGenerationKeepsItsOldName) {
    DropNames names;
    names.use(policy("bulk"), 0);
    names.use(policy("slow"), 1000);
    EXPECT_EQ(names.explain(event(0), 0).class_name, "bulk");
    EXPECT_EQ(names.explain(event(1000), 0).class_name, "slow");
}

TEST(DropNames, BelievesNoNumberThatItCannotName) {
    DropNames names;
    auto e = event(4711);
    e.ingress_port = 99;
    e.outcome = 99;
    e.captured = 5000;
    e.family = 9;
    const auto r = names.explain(e, 0);
    EXPECT_EQ(r.ingress_port, "?");
    EXPECT_EQ(r.class_name, "");
    EXPECT_EQ(r.reason, "unknown");
    EXPECT_EQ(r.frame.size(), sizeof(e.frame));
    EXPECT_EQ(r.src, "");
}

TEST(DropStore, KeepsTheLastAndSaysWhatIsMissing) {
    DropStore store(3);
    EXPECT_EQ(store.page(0, 10).next, 1u);
    for (int i = 0; i < 5; i++)
        store.push(record());
    const auto all = store.page(0, 10);
    ASSERT_EQ(all.events.size(), 3u);
    EXPECT_EQ(all.events.front().seq, 3u);
    EXPECT_EQ(all.next, 6u);
    EXPECT_EQ(all.missed, 0u) << "whoever asks from the beginning has missed nothing he asked for";
    EXPECT_EQ(store.page(2, 10).missed, 1u);
    EXPECT_EQ(store.page(4, 1).next, 5u);
    EXPECT_EQ(store.page(6, 10).events.size(), 0u);
    EXPECT_EQ(store.page(UINT64_MAX, 10).next, 6u) << "from now on";
}

TEST(DropJson, SurvivesTheRoundTrip) {
    DropPage page{{record()}, 8, 2};
    const auto text = to_json_text(page);
    const auto back = drop_page_from_json(text);
    ASSERT_TRUE(back);
    EXPECT_EQ(to_json_text(*back), text);
    EXPECT_EQ(back->events.at(0).frame, page.events[0].frame);
    EXPECT_EQ(back->next, 8u);
    EXPECT_EQ(to_json_line(page.events[0]).find('\n'), to_json_line(page.events[0]).size() - 1);
    EXPECT_TRUE(drop_page_from_json(R"({"events":[{"frame":"0g1"}]})")->events.at(0).frame.empty());
}

TEST(DropRoute, FrameBytesAreForTheControlSocketOnly) {
    Handlers handlers;
    uint64_t asked = 0;
    size_t at_most = 0;
    handlers.drops = [&](uint64_t since, size_t limit) {
        asked = since;
        at_most = limit;
        return DropPage{{record()}, 2, 0};
    };
    Request request{"GET", "/api/v1/drops"};
    request.query = {{"since", "17"}, {"limit", "5000000"}};
    EXPECT_TRUE(has(respond(request, handlers, 0).body, "\"frame\": \"\""));
    EXPECT_EQ(asked, 17u);
    EXPECT_EQ(at_most, 1000u);
    request.on_control_socket = true;
    EXPECT_TRUE(has(respond(request, handlers, 0).body, "\"frame\": \"00010203"));
    for (const auto *nonsense : {"", "-1", "3x", "99999999999999999999999"}) {
        request.query["since"] = nonsense;
        EXPECT_EQ(respond(request, handlers, 0).status, 400u) << nonsense;
    }
}

TEST(DropLine, SaysWhoWhyAndWhere) {
    const auto line = format_drop(record());
    EXPECT_TRUE(has(line, "drop_limit UDP 10.0.0.1:4000 > 10.0.0.2:53 dscp 0 1242b lan -> wan class bulk "
                          "(p.yaml:9) delay 10.4ms ring 0 3/1000 sojourn 700us bucket 77\n"))
        << line;
    EXPECT_EQ(endpoint("fd00::1", 53, 17), "[fd00::1]:53");
    EXPECT_EQ(endpoint("10.0.0.1", 0, 1), "10.0.0.1");
}

// ---- pcapng, read back by the specification: tshark reads it in the lab

uint32_t word(const std::string &bytes, size_t at) {
    uint32_t value = 0;
    std::memcpy(&value, bytes.data() + at, sizeof(value));
    return value;
}

// (type, whole block) of each block; fails where a length does not fit.
std::vector<std::pair<uint32_t, std::string>> blocks(const std::string &file) {
    std::vector<std::pair<uint32_t, std::string>> found;
    for (size_t at = 0; at < file.size();) {
        const uint32_t length = word(file, at + 4);
        if (length < 12 || length % 4 || at + length > file.size() || word(file, at + length - 4) != length) {
            ADD_FAILURE() << "block at " << at << " has length " << length;
            return found;
        }
        found.emplace_back(word(file, at), file.substr(at, length));
        at += length;
    }
    return found;
}

TEST(Pcapng, OneInterfacePerIngressPortAndWholeBlocks) {
    PcapngWriter writer;
    auto other = record();
    other.ingress_port = "guest";
    other.frame.resize(61);
    auto nothing = record();
    nothing.frame.clear();
    std::string file = writer.begin();
    for (const auto &r : {record(), other, record(), nothing})
        file += writer.packet(r);
    const auto found = blocks(file);
    ASSERT_EQ(found.size(), 7u);
    const std::vector<uint32_t> types{0x0A0D0D0A, 1, 6, 1, 6, 6, 6};
    for (size_t i = 0; i < types.size(); i++)
        EXPECT_EQ(found[i].first, types[i]) << i;
    EXPECT_EQ(word(found[0].second, 8), 0x1A2B3C4Du);
    EXPECT_EQ(word(found[4].second, 8), 1u) << "interface of guest";
    EXPECT_EQ(word(found[5].second, 8), 0u) << "interface of lan";
    EXPECT_EQ(word(found[4].second, 20), 61u) << "captured";
    EXPECT_EQ(word(found[4].second, 24), 1242u) << "as long as it was";
    EXPECT_EQ(word(found[6].second, 20), 0u);
    EXPECT_TRUE(has(found[2].second, "drop_limit: lan -> wan, class bulk (p.yaml:9), phantom delay 10.4ms"));
}

TEST(Pcapng, TimeIsInNanosecondsSince1970) {
    auto r = record();
    r.unix_s = 1'700'000'000.25;
    PcapngWriter writer;
    const auto found = blocks(writer.packet(r));
    ASSERT_EQ(found.size(), 2u);
    const uint64_t time_ns =
        static_cast<uint64_t>(word(found[1].second, 12)) << 32 | word(found[1].second, 16);
    EXPECT_EQ(time_ns, 1'700'000'000'250'000'000u);
}

} // namespace
} // namespace sluice
