// Snapshot and reload outcome ↔ JSON text. Field names are those of the structs, an empty optional is null, a
// field that the other side does not know keeps its default: old sluicectl and new sluiced understand each
// other.
#pragma once

#include <string>
#include <vector>

#include "api/handlers.hpp"
#include "control/snapshot.hpp"
#include "core/result.hpp"
#include "policy/diagnostic.hpp"

namespace sluice {

// Never throw: bytes that are not UTF-8 are replaced, not a number becomes null.
std::string to_json_text(const Snapshot &snapshot);
std::string ledger_json(const Snapshot &snapshot); // only the ledgers: {"time_ns", "ports": [...]}
std::string to_json_text(const ReloadOutcome &outcome);
std::string to_json_text(const DropPage &page);
// {"points": [...]}, without spaces: it is long.
std::string to_json_text(const std::vector<HistoryPoint> &points);
// {"explanations": [...]}
std::string to_json_text(const std::vector<Explanation> &explanations);
Result<std::vector<Explanation>> explanations_from_json(const std::string &text);
std::string to_json_line(const DropRecord &record); // one line, for streams
// An array of {file, line, column, severity, message, suggestion, source_line}.
std::string to_json_text(const std::vector<Diagnostic> &diagnostics);

// {"error": message}
std::string error_json(const std::string &message);

// The message of an error answer; the status where the body has none.
std::string error_from_json(long http_status, const std::string &text);

// Errors: text is not JSON, or a field has the wrong type.
Result<Snapshot> snapshot_from_json(const std::string &text);
Result<DropPage> drop_page_from_json(const std::string &text);
// `http_status` is how the daemon tells the three outcomes apart (docs/api.md).
Result<ReloadOutcome> reload_outcome_from_json(int http_status, const std::string &text);

} // namespace sluice
