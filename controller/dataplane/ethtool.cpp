#include "dataplane/ethtool.hpp"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "core/fd.hpp"

namespace sluice {
namespace {

// False: no such device, or its driver has no answer to this command.
template <class T> bool ask(const std::string &device, uint32_t command, T &answer) {
    const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq request{};
    device.copy(request.ifr_name, IFNAMSIZ - 1);
    answer.cmd = command;
    request.ifr_data = reinterpret_cast<char *>(&answer);
    return socket && ioctl(socket.get(), SIOCETHTOOL, &request) == 0;
}

} // namespace

std::string driver_of(const std::string &device) {
    ethtool_drvinfo info{};
    return ask(device, ETHTOOL_GDRVINFO, info) ? info.driver : "";
}

std::optional<RingSizes> ring_sizes(const std::string &device) {
    ethtool_ringparam r{};
    if (!ask(device, ETHTOOL_GRINGPARAM, r))
        return {};
    return RingSizes{r.rx_pending, r.tx_pending, r.rx_max_pending, r.tx_max_pending};
}

std::optional<Channels> channels(const std::string &device) {
    ethtool_channels c{};
    if (!ask(device, ETHTOOL_GCHANNELS, c))
        return {};
    return Channels{c.rx_count, c.tx_count, c.combined_count};
}

std::optional<bool> generic_receive_offload(const std::string &device) {
    ethtool_value value{};
    return ask(device, ETHTOOL_GGRO, value) ? std::optional(value.data != 0) : std::nullopt;
}

std::optional<bool> strips_vlan_tags(const std::string &device) {
    ethtool_value value{};
    return ask(device, ETHTOOL_GFLAGS, value) ? std::optional((value.data & ETH_FLAG_RXVLAN) != 0)
                                              : std::nullopt;
}

std::optional<uint64_t> link_speed_bits_per_s(const std::string &device) {
    constexpr uint64_t kMega = 1'000'000;
    ethtool_cmd settings{};
    if (!ask(device, ETHTOOL_GSET, settings))
        return {};
    const uint32_t mbit = ethtool_cmd_speed(&settings);
    if (mbit == 0 || mbit == static_cast<uint32_t>(SPEED_UNKNOWN))
        return {};
    return mbit * kMega;
}

} // namespace sluice
