#include "world.hpp"

#include <arpa/inet.h>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <net/if.h>
#include <sched.h>

namespace sluice::bench {
namespace {

constexpr const char *kSetup = R"(set -e
sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.default.router_solicitations=0
ip link add fast0 address 02:00:00:00:00:02 type veth peer name fast1 address 02:00:00:00:00:01
ip link add slow0 address 02:00:00:00:00:03 type veth peer name slow1 address 02:00:00:00:00:04
sysctl -qw net.ipv6.conf.fast1.disable_ipv6=1 net.ipv6.conf.slow1.disable_ipv6=1
for d in lo fast0 fast1 slow0 slow1; do ip link set $d up; done
sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
ip address add 10.0.1.1/24 dev fast0
ip address add 10.0.2.1/24 dev slow0
ip address add fd00:1::1/64 dev fast0 nodad
ip address add fd00:2::1/64 dev slow0 nodad
ip neighbour add 10.0.2.2 lladdr 02:00:00:00:00:04 dev slow0 nud permanent
ip neighbour add fd00:2::2 lladdr 02:00:00:00:00:04 dev slow0 nud permanent
ip route add 198.18.0.0/15 via 10.0.2.2
ip route add 2001:db8:9::/48 via fd00:2::2
)";

constexpr size_t kFrameBytes = 64;
constexpr uint8_t kTtl = 64;

uint16_t ipv4_checksum(const iphdr &ip) {
    uint32_t sum = 0;
    uint16_t words[sizeof(ip) / 2];
    std::memcpy(words, &ip, sizeof(ip));
    for (const uint16_t word : words)
        sum += word;
    sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<uint16_t>(~((sum & 0xffff) + (sum >> 16)));
}

template <class T> void append(std::vector<uint8_t> &frame, const T &header) {
    const auto *bytes = reinterpret_cast<const uint8_t *>(&header);
    frame.insert(frame.end(), bytes, bytes + sizeof(header));
}

void append_ipv4(std::vector<uint8_t> &frame) {
    iphdr ip{};
    ip.version = 4;
    ip.ihl = 5;
    ip.tot_len = htons(kFrameBytes - sizeof(ethhdr));
    ip.ttl = kTtl;
    ip.protocol = IPPROTO_UDP;
    inet_pton(AF_INET, "10.0.1.2", &ip.saddr);
    inet_pton(AF_INET, "198.18.0.1", &ip.daddr);
    ip.check = ipv4_checksum(ip);
    append(frame, ip);
}

void append_ipv6(std::vector<uint8_t> &frame) {
    ipv6hdr ip{};
    ip.version = 6;
    ip.payload_len = htons(kFrameBytes - sizeof(ethhdr) - sizeof(ip));
    ip.nexthdr = IPPROTO_UDP;
    ip.hop_limit = kTtl;
    inet_pton(AF_INET6, "fd00:1::2", &ip.saddr);
    inet_pton(AF_INET6, "2001:db8:9::1", &ip.daddr);
    append(frame, ip);
}

} // namespace

Result<World> enter_world() {
    if (unshare(CLONE_NEWNET | CLONE_NEWNS) != 0)
        return fail_errno(errno, "create a network namespace", "run as root");
    if (std::system(kSetup) != 0)
        return fail("set up the veth pairs", "needs ip (iproute2), sysctl (procps) and the veth driver");
    return World{if_nametoindex(kFast), if_nametoindex(kSlow), if_nametoindex(kSlowPeer)};
}

std::vector<uint8_t> make_frame(Family family) {
    std::vector<uint8_t> frame;
    ethhdr eth{};
    std::memcpy(eth.h_dest, kFastMac.data(), ETH_ALEN);
    std::memcpy(eth.h_source, kSourceMac.data(), ETH_ALEN);
    eth.h_proto = htons(family == Family::ipv4 ? ETH_P_IP : ETH_P_IPV6);
    append(frame, eth);
    family == Family::ipv4 ? append_ipv4(frame) : append_ipv6(frame);
    udphdr udp{};
    udp.source = htons(1024);
    udp.dest = htons(9);
    udp.len = htons(static_cast<uint16_t>(kFrameBytes - frame.size()));
    append(frame, udp);
    frame.resize(kFrameBytes);
    return frame;
}

} // namespace sluice::bench
