#include "dataplane/pause_sender.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <linux/if_packet.h>
#include <sys/socket.h>

namespace sluice {
namespace {

// IEEE 802.3 annex 31B: a reserved address that no bridge forwards, MAC control, opcode PAUSE.
constexpr std::array<uint8_t, 6> kNeighbour{0x01, 0x80, 0xc2, 0x00, 0x00, 0x01};
constexpr uint8_t kMacControl[] = {0x88, 0x08}, kPause[] = {0x00, 0x01};
constexpr size_t kSmallestFrame = 60;

} // namespace

Result<PauseSender> PauseSender::open(const Netdev &dev) {
    Fd socket(
        ::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)); // protocol 0: receives nothing
    if (!socket)
        return fail_errno(errno, "open a packet socket for the pause frames of " + dev.name,
                          "needs CAP_NET_RAW: start sluiced with --allow-pause");
    sockaddr_ll at{};
    at.sll_family = AF_PACKET;
    at.sll_ifindex = static_cast<int>(dev.ifindex);
    if (bind(socket.get(), reinterpret_cast<sockaddr *>(&at), sizeof(at)) != 0)
        return fail_errno(errno, "bind the packet socket for the pause frames of " + dev.name);
    return PauseSender(std::move(socket), dev);
}

Result<> PauseSender::send(uint16_t quanta) {
    std::array<uint8_t, kSmallestFrame> frame{};
    auto at = std::copy(kNeighbour.begin(), kNeighbour.end(), frame.begin());
    at = std::copy(dev_.mac.begin(), dev_.mac.end(), at);
    at = std::copy(std::begin(kMacControl), std::end(kMacControl), at);
    at = std::copy(std::begin(kPause), std::end(kPause), at);
    *at++ = static_cast<uint8_t>(quanta >> 8);
    *at = static_cast<uint8_t>(quanta);
    if (::send(socket_.get(), frame.data(), frame.size(), 0) < 0)
        return fail_errno(errno, "send a pause frame out of " + dev_.name);
    return {};
}

} // namespace sluice
