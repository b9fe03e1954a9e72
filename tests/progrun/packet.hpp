// Frames as bytes: a builder with right checksums, and what a router may change on the way, written
// independently of the programs under test.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace sluice::progrun {

using Frame = std::vector<uint8_t>;
using Mac = std::array<uint8_t, 6>;

constexpr Mac kFastMac{2, 0, 0, 0, 1, 1}, kHostMac{2, 0, 0, 0, 1, 2}; // ingress port, and who sends to it
constexpr Mac kLteMac{2, 0, 0, 0, 4, 1};                              // a second egress port
constexpr Mac kSlowMac{2, 0, 0, 0, 2, 1}, kSinkMac{2, 0, 0, 0, 2, 2}; // egress port, and its neighbour
enum class Proto : uint8_t { icmp = 1, tcp = 6, udp = 17, icmp6 = 58, sctp = 132, none = 59 };

struct FrameSpec {
    int family = 4;     // 4, 6, 0 = ARP, or in a PPPoE session an LCP echo request
    int tags = 0;       // 0, 1 = 802.1Q, 2 = 802.1ad + 802.1Q
    bool pppoe = false; // in a PPPoE session, behind the tags
    Proto proto = Proto::udp;
    uint8_t tos = 0, ttl = 64;
    uint16_t sport = 1000, dport = 2000;
    uint32_t payload = 64; // bytes behind the transport header
    std::string src, dst;  // "" = host behind the fast port to host behind the slow port
    Mac dmac = kFastMac, smac = kHostMac;
    bool options = false;  // IPv4 options, IPv6 hop-by-hop header
    bool fragment = false; // a later fragment: no transport header at the expected place
    bool first_fragment = false;
    std::vector<uint8_t> extensions; // IPv6 extension headers before the transport header
};

Frame build(const FrameSpec &spec);

// The VLAN tags of build() in the place of those that the frame has.
void retag(Frame &frame, int tags);

size_t l2_payload(const Frame &frame);                  // behind the VLAN tags
size_t l3_offset(const Frame &frame);                   // behind the PPPoE header as well
bool ipv4_checksum_right(const Frame &frame);           // true as well for what is not IPv4
void fix_ipv4_checksum(Frame &frame, size_t l3_offset); // the header lies within the frame
void set_ce(Frame &frame);
// Shorter by what the IP packet has more than `bytes`, lengths and checksum of IP right.
void cut_ip(Frame &frame, uint32_t bytes);
// One hop: MAC addresses, TTL or hop limit, IPv4 checksum computed afresh. VLAN tags stay behind.
void route_hop(Frame &frame, const Mac &dmac, const Mac &smac);

} // namespace sluice::progrun
