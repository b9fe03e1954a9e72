// Which privileges this process holds; asked before the kernel refuses something with a bare EPERM.
#pragma once

#include <string>

#include "core/result.hpp"

namespace sluice {

// What the data path needs: CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON; CAP_SYS_ADMIN stands for each. The error
// names those that are missing, and what they are for.
Result<> check_capabilities();

} // namespace sluice
