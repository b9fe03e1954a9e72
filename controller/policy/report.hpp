// Collects diagnostics about one text and adds the file name and the source line to each.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policy/diagnostic.hpp"

namespace sluice {

class Report {
  public:
    // Keeps no reference to `text`.
    Report(std::string file, std::string_view text);

    void error(SourcePos pos, std::string message, std::string suggestion = {});
    void warning(SourcePos pos, std::string message, std::string suggestion = {});

    bool has_error() const { return errors > 0; }
    // In the order of the file. After 50 errors the rest is dropped, and the last entry says so.
    std::vector<Diagnostic> take();

  private:
    void add(Diagnostic::Severity severity, SourcePos pos, std::string message, std::string suggestion);

    std::string file;
    std::vector<std::string> lines;
    std::vector<Diagnostic> diagnostics;
    int errors = 0;
};

} // namespace sluice
