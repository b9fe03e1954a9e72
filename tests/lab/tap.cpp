#include "tap.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <sys/ioctl.h>

namespace lab {

using sluice::fail_errno;

sluice::Result<InNetns> InNetns::enter(const std::string &path) {
    InNetns guard;
    if (path.empty())
        return guard;
    guard.home_ = Fd(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    const Fd target(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (target.get() < 0)
        return fail_errno(errno, "open network namespace " + path);
    if (setns(target.get(), CLONE_NEWNET) < 0)
        return fail_errno(errno, "enter network namespace " + path, "run as root");
    return guard;
}

InNetns::~InNetns() {
    // The namespace was ours a moment ago; if it cannot be entered again nothing sensible is left to do.
    if (home_.get() >= 0 && setns(home_.get(), CLONE_NEWNET) < 0)
        std::abort();
}

sluice::Result<std::vector<Fd>> open_tap(const std::string &name, const std::string &netns, unsigned queues) {
    auto inside = InNetns::enter(netns);
    if (!inside)
        return tl::unexpected(inside.error());
    std::vector<Fd> fds;
    for (unsigned i = 0; i < queues; i++) {
        Fd fd(open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
        if (fd.get() < 0)
            return fail_errno(errno, "open /dev/net/tun");
        ifreq request{};
        std::strncpy(request.ifr_name, name.c_str(), IFNAMSIZ - 1);
        request.ifr_flags = IFF_TAP | IFF_NO_PI;
        if (queues > 1)
            request.ifr_flags |= IFF_MULTI_QUEUE;
        if (ioctl(fd.get(), TUNSETIFF, &request) < 0)
            return fail_errno(errno, "create TAP device " + name);
        fds.push_back(std::move(fd));
    }
    return fds;
}

} // namespace lab
