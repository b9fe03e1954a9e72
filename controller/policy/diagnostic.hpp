// What the loader has to say about a policy file, with the place it is about.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policy/policy.hpp"

namespace sluice {

struct Diagnostic {
    enum Severity { error, warning };

    std::string file;
    SourcePos pos; // line 0: about the file as a whole
    Severity severity = error;
    std::string message;
    std::string suggestion;  // what the operator probably meant to write, or ""
    std::string source_line; // line `pos.line` of the file, or ""
};

std::string_view to_string(Diagnostic::Severity severity);

// policy.yaml:12:23: error: unknown key `ciel` in a class
//       - {name: voice, ciel: 10%}
//                       ^ did you mean `ceil`?
// No newline at the end.
std::string format(const Diagnostic &d);

} // namespace sluice
