// What the API asks of the daemon. main fills these with thread-safe functions; the API calls them from its
// own threads, keeps nothing between calls and never touches the data path itself.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "control/explanation.hpp"
#include "control/history.hpp"
#include "control/snapshot.hpp"
#include "operate/outcome.hpp"
#include "policy/match.hpp"
#include "telemetry/drop_record.hpp"

namespace sluice {

struct Handlers {
    std::function<Snapshot()> snapshot;
    std::function<ReloadOutcome()> reload;
    std::function<DropPage(uint64_t since, size_t limit)> drops;
    std::function<std::vector<HistoryPoint>(double since_unix_s)> history;
    std::function<std::vector<Explanation>(const PacketKey &)> explain;
    std::function<ReloadOutcome(ApplyRequest)> apply = {};
    std::function<ReloadOutcome()> confirm = {}, rollback = {};
    std::function<RunningPolicy()> policy = {};
};

} // namespace sluice
