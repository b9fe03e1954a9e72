#include "policy/report.hpp"

#include <algorithm>
#include <tuple>

namespace sluice {
namespace {

constexpr int most_errors = 50;

} // namespace

Report::Report(std::string file_name, std::string_view text) : file(std::move(file_name)) {
    while (!text.empty()) {
        const size_t end = text.find('\n');
        std::string_view line = text.substr(0, end);
        text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
        if (line.ends_with('\r'))
            line.remove_suffix(1);
        lines.emplace_back(line);
    }
}

void Report::error(SourcePos pos, std::string message, std::string suggestion) {
    if (++errors <= most_errors)
        add(Diagnostic::error, pos, std::move(message), std::move(suggestion));
}

void Report::warning(SourcePos pos, std::string message, std::string suggestion) {
    if (diagnostics.size() < 2 * most_errors)
        add(Diagnostic::warning, pos, std::move(message), std::move(suggestion));
}

std::vector<Diagnostic> Report::take() {
    const auto place = [](const Diagnostic &d) { return std::tuple(d.pos.line, d.pos.column); };
    std::stable_sort(diagnostics.begin(), diagnostics.end(),
                     [&](const Diagnostic &a, const Diagnostic &b) { return place(a) < place(b); });
    if (errors > most_errors)
        add(Diagnostic::error, {}, std::to_string(errors - most_errors) + " more errors are not shown", {});
    return std::move(diagnostics);
}

void Report::add(Diagnostic::Severity severity, SourcePos pos, std::string message, std::string suggestion) {
    std::string line;
    if (pos.line > 0 && static_cast<size_t>(pos.line) <= lines.size())
        line = lines[static_cast<size_t>(pos.line) - 1];
    diagnostics.push_back({file, pos, severity, std::move(message), std::move(suggestion), std::move(line)});
}

} // namespace sluice
