// What keeps the program of a fast port at its interface: a link of its own (XDP or tcx), or a place in
// libxdp's dispatcher. Whichever, another program takes its place without a gap.
#pragma once

#include "dataplane/dispatcher.hpp"
#include "dataplane/load.hpp"

namespace sluice {

class Attachment {
  public:
    Attachment() = default; // nowhere
    explicit Attachment(Fd link) : holder_(std::move(link)) {}
    Attachment(DispatcherSlot slot, uint32_t ifindex)
        : holder_(std::move(slot.programs)), relay_(std::move(slot.relay)), ifindex_(ifindex) {}

    explicit operator bool() const { return static_cast<bool>(holder_); }
    bool dispatched() const { return static_cast<bool>(relay_); }
    IngressHook hook() const;
    // "native", "generic" or "tc"; "" when the interface has no XDP program.
    const char *mode() const;
    // Another handle of the same: a link ends when the last one is gone.
    Attachment share() const;
    Result<> exchange(const Fd &program) const;
    // Of the program that frames meet; 0: none.
    uint32_t program_id() const;
    // 0: the interface is gone, or somebody took us away from its dispatcher.
    uint32_t ifindex() const;
    // For all handles, at once.
    void detach();

    // To be pinned: the link or the relay's map; and the relay, if there is one.
    const Fd &holder() const { return holder_; }
    const Fd &relay() const { return relay_; }

  private:
    Fd holder_, relay_;
    uint32_t ifindex_ = 0; // with a relay; a link knows its own
};

} // namespace sluice
