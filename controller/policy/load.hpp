// From a policy file to a Policy, or to everything that is wrong with it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/diagnostic.hpp"
#include "policy/policy.hpp"

namespace sluice {

// A policy as bytes: the file and what it names. All that is needed to read it again, elsewhere or later.
struct PolicyBytes {
    struct TenantFile {
        std::string name; // as in the policy
        std::string text;
    };

    std::string file; // where it came from; for messages and for Policy::file
    std::string text;
    std::vector<TenantFile> tenant_files;

    size_t size() const;
    const TenantFile *tenant_file(const std::string &name) const;
};

struct LoadResult {
    std::optional<Policy> policy;        // set when no diagnostic is an error
    std::vector<Diagnostic> diagnostics; // in the order of the file, warnings included
    PolicyBytes bytes;                   // as far as they could be read
};

// Files that every user can write are refused: whoever writes them decides what this host forwards.
LoadResult load_policy_file(const std::string &path);

// `file_name` is for the messages and for Policy::file; files that the policy names are looked for beside it.
LoadResult load_policy_text(std::string_view text, const std::string &file_name);

// Opens no file.
LoadResult load_policy_bytes(PolicyBytes bytes);

// Where `name`, as the policy has it, is in the file system.
std::string beside(const std::string &policy_file, const std::string &name);

} // namespace sluice
