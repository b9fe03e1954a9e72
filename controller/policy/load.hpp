// From a policy file to a Policy, or to everything that is wrong with it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/diagnostic.hpp"
#include "policy/policy.hpp"

namespace sluice {

struct LoadResult {
    std::optional<Policy> policy;        // set when no diagnostic is an error
    std::vector<Diagnostic> diagnostics; // in the order of the file, warnings included
};

LoadResult load_policy_file(const std::string &path);

// `file_name` is for the messages and for Policy::file.
LoadResult load_policy_text(std::string_view text, const std::string &file_name);

} // namespace sluice
