// Links: what keeps programs attached, and lets go of them when the last descriptor closes.
#pragma once

#include <vector>

#include "dataplane/load.hpp"

namespace sluice {

// Links of the egress tracepoints.
Result<std::vector<Fd>> attach_tracepoints(const Instance &instance);

// Link of an XDP program to the port's interface, native if the driver can, else generic; notes the mode in
// `facts`.
Result<Fd> attach_xdp(const Fd &program, PortFacts &facts);

void note_xdp_mode(PortFacts &facts, const char *mode); // as xdp_mode() says

} // namespace sluice
