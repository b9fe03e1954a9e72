// Policies as sluicectl and sluiced send them to each other: bytes, not meaning.
#pragma once

#include <string>

#include "core/result.hpp"
#include "operate/outcome.hpp"

namespace sluice {

std::string_view to_string(PolicySource source);

std::string to_json_text(const ApplyRequest &request);
std::string to_json_text(const RunningPolicy &policy);
// Errors: text is not JSON, or a field is missing or has the wrong type.
Result<ApplyRequest> apply_request_from_json(const std::string &text);
Result<RunningPolicy> running_policy_from_json(const std::string &text);

} // namespace sluice
