#include "policy/names.hpp"

#include <algorithm>
#include <array>

namespace sluice {
namespace {

constexpr NamedNumber dscp[] = {
    {"be", 0},    {"df", 0},    {"cs0", 0},   {"le", 1},    {"cs1", 8},   {"af11", 10}, {"af12", 12},
    {"af13", 14}, {"cs2", 16},  {"af21", 18}, {"af22", 20}, {"af23", 22}, {"cs3", 24},  {"af31", 26},
    {"af32", 28}, {"af33", 30}, {"cs4", 32},  {"af41", 34}, {"af42", 36}, {"af43", 38}, {"cs5", 40},
    {"va", 44},   {"ef", 46},   {"cs6", 48},  {"cs7", 56},
};

constexpr NamedNumber protocols[] = {
    {"icmp", 1},  {"igmp", 2},   {"ipip", 4},   {"tcp", 6},       {"udp", 17},    {"dccp", 33},
    {"ipv6", 41}, {"gre", 47},   {"esp", 50},   {"ah", 51},       {"icmpv6", 58}, {"ospf", 89},
    {"pim", 103}, {"l2tp", 115}, {"sctp", 132}, {"udplite", 136},
};

constexpr std::array<uint8_t, 5> with_ports = {6, 17, 33, 132, 136};

} // namespace

std::span<const NamedNumber> dscp_names() {
    return dscp;
}

std::span<const NamedNumber> protocol_names() {
    return protocols;
}

bool protocol_has_ports(uint8_t protocol) {
    return std::find(with_ports.begin(), with_ports.end(), protocol) != with_ports.end();
}

} // namespace sluice
