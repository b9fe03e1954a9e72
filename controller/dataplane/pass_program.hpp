// Many drivers allocate XDP transmit queues only for a device that has an XDP program
// (DriverTraits::wants_program). A slow port where no frames of ours arrive has none of its own: it gets one
// that passes everything.
#pragma once

#include "core/fd.hpp"
#include "core/result.hpp"
#include "dataplane/netdev.hpp"

namespace sluice {

// The link that keeps it attached, in native mode. Error: another program is there (then it does the same
// service), or the driver refuses.
Result<Fd> attach_pass_program(const Netdev &dev);

} // namespace sluice
