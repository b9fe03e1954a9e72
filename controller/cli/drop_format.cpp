#include "cli/drop_format.hpp"

#include <array>
#include <cmath>
#include <cstdio>
#include <ctime>

#include <netinet/in.h>

#include "cli/pcapng.hpp"
#include "cli/tc_units.hpp"

namespace sluice {
namespace {

std::string clock_time(double unix_s) {
    const auto whole = static_cast<time_t>(std::floor(unix_s));
    std::array<char, 32> text{};
    tm parts{};
    localtime_r(&whole, &parts);
    std::strftime(text.data(), text.size(), "%H:%M:%S", &parts);
    std::array<char, 16> fraction{};
    std::snprintf(fraction.data(), fraction.size(), ".%06d",
                  static_cast<int>((unix_s - std::floor(unix_s)) * 1e6) % 1'000'000);
    return std::string(text.data()) + fraction.data();
}

bool has_ports(uint8_t proto) {
    return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP ||
           proto == IPPROTO_UDPLITE || proto == IPPROTO_DCCP;
}

std::string flow_text(const DropRecord &r) {
    constexpr std::array ecn{"", " ECT(1)", " ECT(0)", " CE"};
    if (!r.family)
        return "not IP";
    return protocol_name(r.proto) + " " + endpoint(r.src, r.sport, r.proto) + " > " +
           endpoint(r.dst, r.dport, r.proto) + " dscp " + std::to_string(r.dscp) + ecn[r.ecn & 3];
}

} // namespace

std::string protocol_name(uint8_t proto) {
    switch (proto) {
    case IPPROTO_TCP:
        return "TCP";
    case IPPROTO_UDP:
        return "UDP";
    case IPPROTO_ICMP:
        return "ICMP";
    case IPPROTO_ICMPV6:
        return "ICMPv6";
    case IPPROTO_SCTP:
        return "SCTP";
    case IPPROTO_GRE:
        return "GRE";
    case IPPROTO_ESP:
        return "ESP";
    default:
        return "proto " + std::to_string(proto);
    }
}

std::string endpoint(const std::string &address, uint16_t port, uint8_t proto) {
    if (!has_ports(proto))
        return address;
    const bool v6 = address.find(':') != std::string::npos;
    return (v6 ? "[" + address + "]" : address) + ":" + std::to_string(port);
}

std::string format_drop(const DropRecord &r) {
    std::string line = clock_time(r.unix_s) + " " + r.reason + " " + flow_text(r) + " " +
                       std::to_string(r.frame_bytes) + "b " + r.ingress_port + " -> " + r.egress_port +
                       " class " + r.class_name + (r.tenant.empty() ? "" : " of " + r.tenant);
    if (r.policy_line)
        line += " (" + r.policy_file + ":" + std::to_string(r.policy_line) + ")";
    return line + " delay " + tc_time(r.delay_ns) + " ring " + std::to_string(r.ring) + " " +
           std::to_string(r.ring_occupancy) + "/" + std::to_string(r.ring_size) + " sojourn " +
           tc_time(r.ring_sojourn_ns) + " bucket " + std::to_string(r.bucket) + "\n";
}

} // namespace sluice
