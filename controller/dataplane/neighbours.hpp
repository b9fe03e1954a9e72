// Neighbour entries of routers that nobody asks for until a frame has to leave by them: XDP cannot ask for
// them.
#pragma once

#include <optional>

#include "core/result.hpp"
#include "dataplane/netlink.hpp"
#include "policy/policy.hpp"

namespace sluice {

// Has the kernel look for the address behind the interface, as if a packet of its own went there. What is
// known and confirmed stays as it is, and so do permanent entries.
Result<> want_neighbour(Netlink &netlink, uint32_t ifindex, const Prefix &address);

// The router of the default route that leaves by the interface, of whatever metric. None: no such route, or
// no router behind it.
Result<std::optional<Prefix>> default_router(Netlink &netlink, uint32_t ifindex, int family);

} // namespace sluice
