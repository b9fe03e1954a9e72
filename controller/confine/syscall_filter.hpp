// Which system calls are left to a daemon that runs: those of its work, by an allow-list. No exec, no other
// process, no mount, no ptrace, no raw or packet socket. Whoever takes the daemon over finds only these.
#pragma once

#include "core/result.hpp"

namespace sluice {

// For all threads, now and later. A refused call fails with EPERM, so that an oversight costs a feature and
// not the daemon, and is logged by the kernel (type=1326 SECCOMP).
Result<> filter_syscalls();

} // namespace sluice
