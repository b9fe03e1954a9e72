// Kernels before 6.3 do not say whether a device takes redirected frames; one that does not loses all of them
// without a word. There one frame is sent to it that no station forwards, and looked after.
#pragma once

#include "core/result.hpp"
#include "dataplane/netdev.hpp"

namespace sluice {

// Whether the device took the frame. The device is up and has a carrier: else none does.
Result<bool> takes_redirected_frame(const Netdev &dev);

} // namespace sluice
