// Whether bytes are text that is safe to parse and to print back at a terminal.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sluice {

// What makes `text` unreadable (a control character, bytes that are not UTF-8) and the line it is in, or
// none.
std::optional<std::string> find_unreadable(std::string_view text);

} // namespace sluice
