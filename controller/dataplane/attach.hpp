// Links: what keeps programs attached, and lets go of them when the last descriptor closes.
#pragma once

#include <vector>

#include "dataplane/load.hpp"

namespace sluice {

// Links of the egress tracepoints.
Result<std::vector<Fd>> attach_tracepoints(const Instance &instance);

// Link of an XDP program to the port's interface in the mode of the policy's choice, `auto`: native if the
// driver can, else generic. Notes the mode in `facts`.
Result<Fd> attach_xdp(const Fd &program, PortFacts &facts, XdpChoice choice);

// The program that is attached to the port is so in the mode of this choice. The kernel exchanges programs in
// place, not modes: another one would take a gap, so it is an error.
Result<> check_xdp_mode(const PortFacts &facts, XdpChoice choice);

} // namespace sluice
