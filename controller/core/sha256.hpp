// SHA-256 of a text as lower-case hex: tells one policy file from another across a fleet.
#pragma once

#include <string>
#include <string_view>

namespace sluice {

std::string sha256_hex(std::string_view bytes);

} // namespace sluice
