// Errors are values: an Error says which operation failed on which object, why, and what cures it.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <utility>

#include <tl/expected.hpp>

namespace sluice {

// What a caller can do about it; sluiced and sluicectl make their exit codes of it (core/exit_code.hpp).
enum class ErrorKind : uint8_t {
    failed,
    busy,           // somebody else has it, and nothing of theirs was touched
    policy_invalid, // the diagnostics say where
    unsupported,    // this kernel cannot do it
};

struct Error {
    std::string what; // operation and object, then the cause: "attach XDP to eth0: Device or resource busy"
    std::string cure; // what the operator can do about it; empty when there is nothing to advise
    ErrorKind kind = ErrorKind::failed;
};

template <class T = void> using Result = tl::expected<T, Error>;

inline tl::unexpected<Error> fail(std::string what, std::string cure = {}) {
    return tl::unexpected<Error>(Error{std::move(what), std::move(cure)});
}

inline tl::unexpected<Error> fail_busy(std::string what, std::string cure = {}) {
    return tl::unexpected<Error>(Error{std::move(what), std::move(cure), ErrorKind::busy});
}

inline tl::unexpected<Error> fail_unsupported(std::string what, std::string cure = {}) {
    return tl::unexpected<Error>(Error{std::move(what), std::move(cure), ErrorKind::unsupported});
}

// `err` is an errno value, positive or negative; save it before anything else can change it.
inline tl::unexpected<Error> fail_errno(int err, const std::string &operation, std::string cure = {}) {
    return fail(operation + ": " + std::strerror(err < 0 ? -err : err), std::move(cure));
}

inline std::string to_string(const Error &e) {
    return e.cure.empty() ? e.what : e.what + " (" + e.cure + ")";
}

} // namespace sluice
