#include "cli/status_format.hpp"

#include <cstdio>
#include <string_view>

#include "cli/tc_units.hpp"

namespace sluice {
namespace {

std::string number(uint64_t value) {
    return std::to_string(value);
}

// `text` or, where there is none, the dash that tc-like lines need to keep their columns.
std::string or_dash(const std::string &text) {
    return text.empty() ? "-" : text;
}

std::string ratio(double value) {
    char text[32];
    std::snprintf(text, sizeof(text), "%.3f", value);
    return text;
}

uint64_t sum(const std::vector<Count> &counts, std::string_view prefix = {}) {
    uint64_t total = 0;
    for (const auto &count : counts)
        if (count.name.starts_with(prefix))
            total += count.packets;
    return total;
}

enum class Zeros { show, hide };

// "drop_codel 7, drop_limit 5"
std::string list(const std::vector<Count> &counts, std::string_view prefix, Zeros zeros) {
    std::string out;
    for (const auto &count : counts) {
        if (!count.name.starts_with(prefix) || (zeros == Zeros::hide && count.packets == 0))
            continue;
        out += (out.empty() ? "" : ", ") + count.name + " " + number(count.packets);
    }
    return out;
}

// " (arp 3, ttl 1)", or nothing when all are zero
std::string details(const std::vector<Count> &counts) {
    const auto text = list(counts, "", Zeros::hide);
    return text.empty() ? "" : " (" + text + ")";
}

std::string amount(uint64_t bytes, uint64_t packets) {
    return number(bytes) + " bytes " + number(packets) + " pkt";
}

// Only a reading that is not the plain truth needs a word.
std::string trust(const std::string &of) {
    return of == "moderated" || of == "low" ? " (trust " + of + ")" : "";
}

std::string port_head(const PortState &p) {
    const std::string rate = p.policy_rate_bytes_per_s ? tc_rate(*p.policy_rate_bytes_per_s) : "auto";
    std::string line = "port " + p.name + " dev " + p.device + " ifindex " + number(p.ifindex);
    line += p.up ? "" : " DOWN";
    line += " driver " + or_dash(p.driver) + " reader " + or_dash(p.ring_reader) + trust(p.ring_trust) +
            " hook " + or_dash(p.hook);
    line += " xdp " + or_dash(p.xdp_mode) + " rate " + rate + " capacity " + tc_rate(p.capacity_bytes_per_s);
    line += " drain " + (p.drain_bytes_per_s ? tc_rate(p.drain_bytes_per_s) : "-");
    return line + " headroom " + ratio(p.headroom) + "\n";
}

std::string ring_line(const RingState &r) {
    const std::string size = r.size ? number(r.size) : "?";
    return " ring " + number(r.index) + " " + size + " descriptors occupancy " + number(r.occupancy) +
           " sojourn " + tc_time(r.sojourn_ns) + " waiting " + number(r.waiting_bytes) + "b\n";
}

// "dropped" and "marked" are the verdicts of all classes that lead here; the kernel's own drops come after
// them.
std::string port_totals(const PortState &p) {
    uint64_t dropped = 0, marked = 0;
    for (const auto &c : p.classes) {
        dropped += sum(c.outcomes, "drop");
        marked += sum(c.outcomes, "mark");
    }
    return " Sent " + amount(p.sent_bytes, p.sent_packets) + " (dropped " + number(dropped) + ", marked " +
           number(marked) + ", kernel drops " + number(sum(p.kernel_drops)) + ")" + details(p.kernel_drops) +
           "\n Received " + amount(p.received_bytes, p.received_packets) + " passed " +
           number(sum(p.passed)) + details(p.passed) + "\n";
}

// Frames that took another way than a drop, where there were any.
std::string other_ways(const ClassState &c) {
    std::string ways;
    for (const auto &count : c.outcomes)
        for (const char *way : {"spill", "reroute", "trim", "bounce"})
            if (count.name == way && count.packets)
                ways += (ways.empty() ? " other ways: " : ", ") + count.name + " " + number(count.packets);
    return ways.empty() ? ways : ways + "\n";
}

std::string class_lines(const ClassState &c) {
    std::string out = "class " + c.name + (c.mode == "shadow" ? " SHADOW" : "") + " service " +
                      tc_rate(c.service_bytes_per_s) + " backlog " + tc_size(c.backlog_bytes) +
                      " active flows " + number(c.active_flows) + " delay " + tc_time(c.delay_ns) +
                      " target " + tc_time(c.target_ns) + " interval " + tc_time(c.interval_ns) + " limit " +
                      tc_time(c.limit_ns) + "\n";
    out += " Sent " + amount(c.admitted_bytes, c.admitted_packets) + " (" +
           list(c.outcomes, "drop", Zeros::show) + ") marked " + number(sum(c.outcomes, "mark")) + "\n";
    out += other_ways(c);
    if (sum(c.outcomes, "would_") > 0)
        out += " shadow mode, not enforced: " + list(c.outcomes, "would_", Zeros::hide) + "\n";
    return out;
}

std::string port_lines(const PortState &p) {
    std::string out = port_head(p);
    if (!p.degraded.empty())
        out += " degraded: " + p.degraded + "\n";
    for (const auto &ring : p.rings)
        out += ring_line(ring);
    out += port_totals(p);
    for (const auto &c : p.classes)
        out += class_lines(c);
    return out;
}

} // namespace

std::string format_status(const Snapshot &s) {
    constexpr size_t short_hash = 12;
    std::string out = "sluice " + s.version + " policy " + or_dash(s.policy_file) + " generation " +
                      number(s.policy_generation) + " sha256 " +
                      or_dash(s.policy_sha256.substr(0, short_hash)) + (s.asleep ? " idle" : "") +
                      "\n health " + (s.health.empty() ? "starting" : s.health) + "\n";
    for (const auto &port : s.ports)
        out += port_lines(port);
    return out;
}

} // namespace sluice
