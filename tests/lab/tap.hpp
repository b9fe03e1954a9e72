// TAP devices and the network namespaces they are made in.
#pragma once

#include <string>
#include <vector>

#include "clock.hpp"
#include "core/result.hpp"

namespace lab {

// While it lives, the calling thread is in the network namespace bound at `path`; empty = stay.
class InNetns {
  public:
    static sluice::Result<InNetns> enter(const std::string &path);
    InNetns(InNetns &&) = default;
    InNetns &operator=(InNetns &&) = default;
    ~InNetns();

  private:
    InNetns() = default;
    Fd home_;
};

// A TAP device without vnet header; one non-blocking descriptor per queue. The device goes with the last one.
sluice::Result<std::vector<Fd>> open_tap(const std::string &name, const std::string &netns, unsigned queues);

} // namespace lab
