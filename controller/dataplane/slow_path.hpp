// Keeps the tc egress program at a port: a tcx link where the kernel has them, else a filter of clsact.
#pragma once

#include <cstdint>

#include "core/fd.hpp"
#include "core/result.hpp"
#include "dataplane/netdev.hpp"

namespace sluice {

class SlowPath {
  public:
    // Puts `program` at the device. `before`: what has been there of ours, if anything; the program is then
    // exchanged without a gap, and `before` takes nothing away any more.
    static Result<SlowPath> attach(const Fd &program, const Netdev &dev, SlowPath *before);
    // What an earlier daemon left at this device; `link`: none where it is a filter.
    static SlowPath left(uint32_t ifindex, Fd link, bool made_clsact);
    SlowPath(SlowPath &&other) noexcept;
    SlowPath &operator=(SlowPath &&other) noexcept;
    // Takes away the program, and clsact if it was not there before; unless leave() was called.
    ~SlowPath();

    void leave() { left_ = true; }
    uint32_t ifindex() const { return ifindex_; }
    const Fd &link() const { return link_; }
    bool made_clsact() const { return made_clsact_; }

  private:
    SlowPath() = default;

    Fd link_; // none: a filter
    uint32_t ifindex_ = 0;
    bool made_clsact_ = false, left_ = false;
};

} // namespace sluice
