#include "pause_listener.hpp"

#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>

namespace lab {

namespace {

constexpr uint16_t mac_control = 0x8808;
constexpr double quantum_bits = 512;

} // namespace

sluice::Result<PauseListener> PauseListener::open(const std::string &device, double bits_per_s) {
    Fd socket(::socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(mac_control)));
    sockaddr_ll at{};
    at.sll_family = AF_PACKET;
    at.sll_protocol = htons(mac_control);
    at.sll_ifindex = static_cast<int>(if_nametoindex(device.c_str()));
    if (!at.sll_ifindex || bind(socket.get(), reinterpret_cast<sockaddr *>(&at), sizeof(at)) < 0)
        return sluice::fail_errno(errno, "listen for pause frames on " + device, "run as root");
    return PauseListener(std::move(socket), bits_per_s);
}

uint64_t PauseListener::silent_until_ns(uint64_t now) {
    std::array<uint8_t, 64> frame{};
    while (recv(socket_.get(), frame.data(), frame.size(), 0) >= 18) {
        const bool for_us = frame[0] == 0x01 && frame[1] == 0x80 && frame[2] == 0xc2 && frame[5] == 0x01;
        if (!for_us || frame[14] != 0 || frame[15] != 1)
            continue;
        const unsigned quanta = frame[16] << 8 | frame[17];
        silent_until_ns_ = now + static_cast<uint64_t>(quanta * quantum_bits * 1e9 / bits_per_s_);
        (quanta ? pauses_ : resumes_)++;
    }
    return silent_until_ns_;
}

} // namespace lab
