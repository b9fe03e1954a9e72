// A place among the XDP programs of an interface that libxdp's dispatcher calls one after the other. The
// library is opened when a port asks for it (`attach: dispatcher`): nobody else needs it.
#pragma once

#include "core/fd.hpp"
#include "core/result.hpp"
#include "dataplane/netdev.hpp"

namespace sluice {

// The relay of ours that stands in the dispatcher (bpf_ingress/slot.bpf.c), and the map whose only entry it
// jumps to. The kernel empties the map when nobody holds it by a descriptor or a pin.
struct DispatcherSlot {
    Fd relay, programs;
};

enum class DispatcherMode { native, generic };

// Enters the relay, which jumps to `program` from its first frame on. `frags`: it may meet frames in several
// buffers. Where the kernel cannot extend programs and no other one is there, libxdp attaches the relay by
// itself.
Result<DispatcherSlot> enter_dispatcher(const Fd &program, const Netdev &dev, DispatcherMode mode,
                                        bool frags);

// False only if the relay is certainly not among the programs of the interface.
bool is_in_dispatcher(const Fd &relay, uint32_t ifindex);

// The dispatcher goes with its last program.
Result<> leave_dispatcher(const Fd &relay, uint32_t ifindex);

} // namespace sluice
