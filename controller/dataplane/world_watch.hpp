// Hears that the world has moved: links come, go, change state, name, MTU or abilities; queueing disciplines
// are removed. Says only that it is time to look again, never what happened: whoever looks asks the kernel
// anew, so nothing is lost when notifications are.
#pragma once

#include <functional>
#include <optional>
#include <stop_token>

#include "dataplane/netlink_messages.hpp"

namespace sluice {

class WorldWatch {
  public:
    static Result<WorldWatch> open();

    using Look = std::function<WatchedDevices()>;
    // Calls `look` at once, soon after each burst of notifications about a watched device, when notifications
    // were lost, and every few seconds all the same. It returns what to watch from then on.
    void run(const std::stop_token &stop, const Look &look);

  private:
    WorldWatch(Netlink links, std::optional<Netlink> features)
        : links_(std::move(links)), features_(std::move(features)) {}
    // True: something about a watched device, or nobody knows what, was heard.
    bool hear(const WatchedDevices &watched);
    bool wait(int timeout_ms) const;

    Netlink links_;
    std::optional<Netlink> features_; // XDP features and ethtool settings
};

} // namespace sluice
