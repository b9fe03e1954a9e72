// Keeps the tc egress program at a port: a tcx link where the kernel has them, else a filter of clsact.
#pragma once

#include <cstdint>

#include "core/fd.hpp"
#include "core/result.hpp"
#include "dataplane/netdev.hpp"

namespace sluice {

class SlowPath {
  public:
    static Result<SlowPath> attach(const Fd &program, const Netdev &dev);
    SlowPath(SlowPath &&other) noexcept;
    SlowPath &operator=(SlowPath &&other) = delete;
    // Takes away the program, and clsact if it was not there before.
    ~SlowPath();

  private:
    SlowPath() = default;

    Fd link_;
    uint32_t ifindex_ = 0, handle_ = 0, priority_ = 0; // of the filter; ifindex 0 = none
    bool made_clsact_ = false;
};

} // namespace sluice
