#include "policy/diagnostic.hpp"

namespace sluice {
namespace {

// Blanks as wide as the first `columns` bytes of the line: tabs stay tabs, continuation bytes of UTF-8 take
// no room.
std::string margin(std::string_view line, size_t columns) {
    std::string out;
    for (char c : line.substr(0, columns))
        if ((static_cast<unsigned char>(c) & 0xc0) != 0x80)
            out += c == '\t' ? '\t' : ' ';
    return out;
}

} // namespace

std::string_view to_string(Diagnostic::Severity severity) {
    return severity == Diagnostic::error ? "error" : "warning";
}

std::string format(const Diagnostic &d) {
    std::string out = d.file;
    if (d.pos.line > 0)
        out += ":" + std::to_string(d.pos.line) + ":" + std::to_string(d.pos.column);
    out += ": " + std::string(to_string(d.severity)) + ": " + d.message;
    const std::string hint = d.suggestion.empty() ? "" : "did you mean `" + d.suggestion + "`?";
    if (!d.source_line.empty()) {
        const auto columns = static_cast<size_t>(d.pos.column > 0 ? d.pos.column - 1 : 0);
        out += "\n" + d.source_line + "\n" + margin(d.source_line, columns) + "^";
        return hint.empty() ? out : out + " " + hint;
    }
    return hint.empty() ? out : out + " (" + hint + ")";
}

} // namespace sluice
