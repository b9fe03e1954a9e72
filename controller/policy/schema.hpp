// What the table of keys says, for editors and for readers.
#pragma once

#include <string>

namespace sluice {

// JSON Schema, draft-07, of the policy file: policies/schema.json. Ends with a newline.
std::string policy_schema_json();

// Markdown tables, one per map: the generated part of docs/policy.md. Ends with a newline.
std::string policy_reference_markdown();

} // namespace sluice
