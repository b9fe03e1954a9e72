// Exit codes of sluiced and sluicectl. Stable: scripts rely on them.
#pragma once

#include "core/result.hpp"

namespace sluice {

enum class ExitCode : int {
    ok = 0,
    failed = 1,
    usage = 2,
    policy_invalid = 3,
    degraded = 4, // or busy
    kernel_unsupported = 5,
};

inline constexpr const char *exit_code_help =
    "Exit codes: 0 ok, 1 failed, 2 usage, 3 policy invalid, 4 busy or degraded, 5 kernel unsupported";

inline ExitCode exit_code_of(ErrorKind kind) {
    switch (kind) {
    case ErrorKind::busy:
        return ExitCode::degraded;
    case ErrorKind::policy_invalid:
        return ExitCode::policy_invalid;
    case ErrorKind::unsupported:
        return ExitCode::kernel_unsupported;
    case ErrorKind::failed:
        break;
    }
    return ExitCode::failed;
}

} // namespace sluice
