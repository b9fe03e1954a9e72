// Counters go from one generation or instance to the next by the names of port, tenant and class.
#include "dataplane/carry.hpp"

#include <gtest/gtest.h>

#include "policy/load.hpp"

namespace sluice {
namespace {

constexpr uint32_t kCpus = 3, kClasses = 16;

CompiledPolicy policy(const std::string &classes, const std::string &wan = "wan") {
    const LoadResult loaded =
        load_policy_text("version: 1\nports:\n  lan: {device: a}\n  other: {device: b}\n  " + wan +
                             ": {device: c, rate: 10mbit}\ntransitions:\n  - {from: lan, to: " + wan +
                             ", classes: [" + classes + "{name: default}]}\n",
                         "test.yaml");
    EXPECT_TRUE(loaded.policy) << (loaded.diagnostics.empty() ? "" : loaded.diagnostics[0].message);
    return compile(*loaded.policy);
}

struct Kernel : Maps {
    Kernel() {
        cpus = kCpus;
        control = MappedArray<sluice_control>::in_memory(1);
        ports = MappedArray<sluice_port>::in_memory(SLUICE_MAX_PORTS);
        classes = MappedArray<sluice_class>::in_memory(2 * kClasses);
        class_counts = MappedArray<sluice_class_count>::in_memory(2 * kClasses * count_rows());
        delays = MappedArray<sluice_delays>::in_memory(2 * 2 * kClasses);
        port_counts = MappedArray<sluice_port_count>::in_memory(SLUICE_MAX_PORTS * count_rows());
        tx = MappedArray<sluice_tx>::in_memory(SLUICE_MAX_PORTS * count_rows());
    }

    // As fill_generation() does.
    void name(const CompiledPolicy &policy, uint32_t base) {
        for (uint32_t t = 0; t < policy.transitions.size(); t++)
            for (uint32_t id = 0; id < policy.transitions[t].class_count(); id++)
                classes[base + policy.transitions[t].first_class + id].name_hash = class_hash(policy, t, id);
        for (uint32_t p = 0; p < policy.source.ports.size(); p++)
            ports[p].name_hash = port_hash(policy, p);
    }

    uint64_t admitted(uint32_t id) const {
        uint64_t sum = 0;
        for (uint32_t row = 0; row < count_rows(); row++)
            sum += class_count(id, row).admitted_bytes;
        return sum;
    }
};

constexpr const char *kVoice = "{name: voice, match: [{dscp: ef}]}, ",
                     *kBulk = "{name: bulk, match: [{dscp: cs1}]}, ";

TEST(Carry, classes_keep_their_counts_when_they_move) {
    const CompiledPolicy before = policy(std::string(kVoice) + kBulk), after = policy(kBulk);
    Kernel maps;
    maps.name(before, 0);
    maps.name(after, kClasses);
    for (uint32_t cpu = 0; cpu < kCpus; cpu++) {
        maps.class_counts[maps.class_row(0, cpu)].admitted_bytes = 1;   // voice, which goes
        maps.class_counts[maps.class_row(1, cpu)].admitted_bytes = 100; // bulk, which becomes the first
        maps.class_counts[maps.class_row(1, cpu)].outcome[SLUICE_MARK] = 7;
        maps.class_counts[maps.class_row(2, cpu)].admitted_bytes = 1000;
    }
    maps.delays[1].bucket[3] = 5;
    carry_classes(maps, 0, maps, kClasses);
    carry_classes(maps, 0, maps, kClasses); // sets, does not add
    EXPECT_EQ(maps.admitted(kClasses), 300u);
    EXPECT_EQ(maps.class_count(kClasses, kCpus).outcome[SLUICE_MARK], 21u);
    EXPECT_EQ(maps.admitted(kClasses + 1), 3000u);
    EXPECT_EQ(maps.delays[maps.earlier_delays(kClasses)].bucket[3], 5u);
}

TEST(Carry, counts_of_counts_add_up) {
    const CompiledPolicy same = policy("");
    Kernel maps;
    maps.name(same, 0);
    maps.name(same, kClasses);
    maps.class_counts[maps.class_row(0, 1)].admitted_bytes = 10;
    carry_classes(maps, 0, maps, kClasses);
    maps.class_counts[maps.class_row(kClasses, 2)].admitted_bytes = 5;
    maps.class_counts[maps.class_row(0, 1)].admitted_bytes = 0; // as a refill does
    carry_classes(maps, kClasses, maps, 0);
    EXPECT_EQ(maps.admitted(0), 15u);
}

TEST(Carry, the_same_class_of_another_port_is_another_class) {
    Kernel from, to;
    from.name(policy(""), 0);
    to.name(policy("", "lte"), 0);
    from.class_counts[from.class_row(0, 0)].admitted_bytes = 10;
    carry_classes(from, 0, to, 0);
    EXPECT_EQ(to.admitted(0), 0u);
}

TEST(Carry, ports_follow_their_name_to_another_index) {
    Kernel from, to;
    from.ports[2].name_hash = to.ports[0].name_hash = 77;
    from.ports[2].ns_per_byte = 4711;
    for (uint32_t cpu = 0; cpu < kCpus; cpu++) {
        from.port_counts[from.port_row(2, cpu)].received_packets = 2;
        from.tx[from.port_row(2, cpu)].sent_packets = 3;
        from.tx[from.port_row(2, cpu)].drops[SLUICE_KDROP_TOO_BIG] = 4;
        from.tx[from.port_row(2, cpu)].empty_at_ns = 99; // a state, no counter
    }
    carry_ports(from, to);
    EXPECT_EQ(to.port_count(0, kCpus).received_packets, 2u * kCpus);
    EXPECT_EQ(to.tx_of(0, kCpus).sent_packets, 3u * kCpus);
    EXPECT_EQ(to.tx_of(0, kCpus).drops[SLUICE_KDROP_TOO_BIG], 4u * kCpus);
    EXPECT_EQ(to.tx_of(0, kCpus).empty_at_ns, 0u);
    EXPECT_EQ(to.ports[0].ns_per_byte, 4711u);
    EXPECT_EQ(to.port_count(1, kCpus).received_packets, 0u);
}

TEST(Carry, what_a_generation_is_filled_with_has_one_hash) {
    EXPECT_EQ(policy_hash(policy(kVoice)), policy_hash(policy(kVoice)));
    EXPECT_NE(policy_hash(policy(kVoice)), policy_hash(policy(kBulk)));
}

} // namespace
} // namespace sluice
