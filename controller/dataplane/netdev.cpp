#include "dataplane/netdev.hpp"

#include <cerrno>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "core/fd.hpp"

namespace sluice {
namespace {

ifreq request(const std::string &name) {
    ifreq r{};
    name.copy(r.ifr_name, IFNAMSIZ - 1);
    return r;
}

std::string driver_of(int socket, const std::string &name) {
    ethtool_drvinfo info{};
    info.cmd = ETHTOOL_GDRVINFO;
    ifreq r = request(name);
    r.ifr_data = reinterpret_cast<char *>(&info);
    return ioctl(socket, SIOCETHTOOL, &r) == 0 ? info.driver : "";
}

} // namespace

Result<Netdev> query_netdev(const std::string &name) {
    Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!socket)
        return fail_errno(errno, "open a socket to ask about " + name);
    Netdev dev;
    dev.name = name;
    ifreq r = request(name);
    if (ioctl(socket.get(), SIOCGIFINDEX, &r) != 0)
        return fail_errno(errno, "interface " + name,
                          "check the name with `ip link`, and the network namespace");
    dev.ifindex = static_cast<uint32_t>(r.ifr_ifindex);
    r = request(name);
    if (ioctl(socket.get(), SIOCGIFMTU, &r) != 0)
        return fail_errno(errno, "read the MTU of " + name);
    dev.mtu = static_cast<uint32_t>(r.ifr_mtu);
    r = request(name);
    if (ioctl(socket.get(), SIOCGIFFLAGS, &r) == 0)
        dev.up = (r.ifr_flags & IFF_UP) != 0;
    r = request(name);
    if (ioctl(socket.get(), SIOCGIFHWADDR, &r) == 0)
        std::copy_n(reinterpret_cast<const uint8_t *>(r.ifr_hwaddr.sa_data), 6, dev.mac.begin());
    dev.driver = driver_of(socket.get(), name);
    return dev;
}

} // namespace sluice
