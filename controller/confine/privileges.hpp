// What the daemon gives up before it does anything: every capability but three, and root where a user is
// named. For threads too, so it must come before the first of them.
#pragma once

#include <string>
#include <vector>

#include "core/result.hpp"

namespace sluice {

struct PrivilegeOptions {
    std::string user;                 // to become; "" = stay who we are
    std::vector<std::string> folders; // made for that user where they are missing; others stay as they are
    bool packet_sockets = false;      // keep CAP_NET_RAW too, for ports with `pause`
    bool list_types =
        false; // keep CAP_SYS_ADMIN where we have it: libbpf lists the modules' types before 6.2
    bool dispatcher = false; // keep CAP_SYS_ADMIN: libxdp looks programs up by their numbers
};

// Afterwards the process has CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON, and can gain nothing: neither by
// execve() nor from its bounding set. Error: one of the three is missing, or the user cannot be had.
//
// Root that stays root takes the group `sluice` where there is one: sockets and files that the daemon makes
// are its.
Result<> drop_privileges(const PrivilegeOptions &options);

} // namespace sluice
