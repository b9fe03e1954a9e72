// Puts programs to where the kernel calls them.
#pragma once

#include <vector>

#include "dataplane/attachment.hpp"
#include "dataplane/load.hpp"

namespace sluice {

// Links of the egress tracepoints.
Result<std::vector<Fd>> attach_tracepoints(const Instance &instance);

// Attaches an XDP program to the port's interface as the policy says: by a link or in the dispatcher; `auto`:
// native if the driver can, else generic.
Result<Attachment> attach_xdp(const Fd &program, const PortFacts &facts, const Port &port);

// At tc ingress, by a tcx link.
Result<Attachment> attach_tc(const Fd &program, const PortFacts &facts);

// The program that is attached to the port is so as the policy says. The kernel exchanges programs in place,
// not modes: another one would take a gap, so it is an error.
Result<> check_attachment(const Attachment &at, const PortFacts &facts, const Port &port);

} // namespace sluice
