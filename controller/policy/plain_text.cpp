#include "policy/plain_text.hpp"

#include <algorithm>
#include <cstdint>

namespace sluice {
namespace {

uint8_t byte(char c) {
    return static_cast<uint8_t>(c);
}

// Length of the UTF-8 sequence (RFC 3629) that `text` begins with, 0 if it is none.
size_t sequence_length(std::string_view text) {
    const uint8_t lead = byte(text[0]);
    const size_t length = lead < 0x80 ? 1 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (length == 1)
        return 1;
    if (lead < 0xc2 || lead > 0xf4 || text.size() < length)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((byte(text[i]) & 0xc0) != 0x80)
            return 0;
    const uint8_t second = byte(text[1]);
    const bool overlong = (lead == 0xe0 && second < 0xa0) || (lead == 0xf0 && second < 0x90);
    const bool surrogate = lead == 0xed && second > 0x9f;
    const bool beyond = lead == 0xf4 && second > 0x8f;
    return overlong || surrogate || beyond ? 0 : length;
}

// C0 and C1 control characters move the cursor or recolour a terminal.
bool is_control(std::string_view sequence) {
    const uint8_t first = byte(sequence[0]);
    if (first == '\t' || first == '\n' || first == '\r')
        return false;
    return first < 0x20 || first == 0x7f || (first == 0xc2 && byte(sequence[1]) < 0xa0);
}

} // namespace

std::optional<std::string> find_unreadable(std::string_view text) {
    for (size_t i = 0; i < text.size();) {
        const size_t length = sequence_length(text.substr(i));
        if (length > 0 && !is_control(text.substr(i, length))) {
            i += length;
            continue;
        }
        const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(i), '\n');
        return (length == 0 ? "bytes that are not UTF-8" : "a control character") + std::string(" in line ") +
               std::to_string(line);
    }
    return std::nullopt;
}

} // namespace sluice
