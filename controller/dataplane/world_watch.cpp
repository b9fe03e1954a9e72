#include "dataplane/world_watch.hpp"

#include <cerrno>
#include <chrono>
#include <linux/genetlink.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <poll.h>

#include "dataplane/xdp_features.hpp"

namespace sluice {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kQuiet = std::chrono::milliseconds(20);     // a burst is over
constexpr auto kPatience = std::chrono::milliseconds(200); // with a burst that does not end
constexpr auto kLookAgain = std::chrono::seconds(5);       // for what no notification tells
constexpr int kStopPoll_ms = 100;

int left_ms(Clock::time_point until) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
    return static_cast<int>(left < 0 ? 0 : left + 1);
}

// Settings of any device: the two families put the index at different places, and such changes are rare.
std::optional<Netlink> listen_to_features() {
    auto netlink = Netlink::open(NETLINK_GENERIC);
    if (!netlink)
        return std::nullopt;
    struct Group {
        const char *family, *group;
    };
    bool any = false;
    for (const Group &g : {Group{"netdev", "mgmt"}, Group{"ethtool", "monitor"}}) {
        const auto family = generic_family(*netlink, g.family, g.group);
        if (family && *family && (*family)->group)
            any = netlink->join((*family)->group) == 0 || any;
    }
    return any ? std::optional(std::move(*netlink)) : std::nullopt;
}

} // namespace

Result<WorldWatch> WorldWatch::open() {
    auto links = Netlink::open(NETLINK_ROUTE);
    if (!links)
        return tl::unexpected(links.error());
    for (const uint32_t group : {RTNLGRP_LINK, RTNLGRP_TC})
        if (const int err = links->join(group))
            return fail_errno(err, "listen to changes of links");
    return WorldWatch(std::move(*links), listen_to_features());
}

bool WorldWatch::hear(const WatchedDevices &watched) {
    bool heard = false;
    int err = 0;
    while ((err = links_.hear([&](const nlmsghdr *m) { heard = heard || concerns(m, watched); })) == 0) {
    }
    heard = heard || err != EAGAIN; // ENOBUFS: some were lost
    if (!features_)
        return heard;
    while ((err = features_->hear([&](const nlmsghdr *) { heard = true; })) == 0) {
    }
    return heard || err != EAGAIN;
}

bool WorldWatch::wait(int timeout_ms) const {
    pollfd sockets[] = {{links_.fd(), POLLIN, 0}, {features_ ? features_->fd() : -1, POLLIN, 0}};
    return poll(sockets, std::size(sockets), timeout_ms) > 0;
}

void WorldWatch::run(const std::stop_token &stop, const Look &look) {
    while (!stop.stop_requested()) {
        const WatchedDevices watched = look();
        const auto next = Clock::now() + kLookAgain;
        bool moved = false;
        while (!moved && !stop.stop_requested() && Clock::now() < next)
            moved = wait(std::min(kStopPoll_ms, left_ms(next))) && hear(watched);
        const auto latest = Clock::now() + kPatience;
        for (auto quiet = Clock::now() + kQuiet; moved && Clock::now() < std::min(quiet, latest);)
            if (wait(left_ms(std::min(quiet, latest))) && hear(watched))
                quiet = Clock::now() + kQuiet;
    }
}

} // namespace sluice
