// What became of a wish to change the policy, and what is in force now. Plain data.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "policy/diagnostic.hpp"
#include "policy/load.hpp"

namespace sluice {

enum class ReloadStatus {
    applied, // `generation` is in force
    invalid, // the policy was refused, `diagnostics` say why; the old one stays
    failed,  // the policy is good, the data path refused it: `failure`; the old one stays
    busy,    // not now: `failure` says what to do first
    nothing, // there was nothing to do: `failure`
};

struct ReloadOutcome {
    ReloadStatus status = ReloadStatus::failed;
    uint64_t generation = 0;
    std::vector<Diagnostic> diagnostics; // warnings when applied
    std::string failure;
    std::optional<double> confirm_until_unix_s = {}; // applied on trial: then it is taken back
};

// A policy that sluicectl sends.
struct ApplyRequest {
    PolicyBytes bytes;
    std::optional<double> confirm_within_s; // none: for good
};

enum class PolicySource {
    file,      // the policy file
    applied,   // sluicectl apply
    last_good, // the policy file was missing or bad at the start
};

// The policy in force, as the daemon gives it out.
struct RunningPolicy {
    PolicyBytes bytes;
    std::string sha256;
    PolicySource source = PolicySource::file;
    std::string policy_file; // what reload reads
    std::optional<double> confirm_until_unix_s;
};

// Figures for status and metrics. Counters never go down while the daemon lives.
struct PolicyState {
    uint64_t generation = 0;
    uint64_t applied = 0, invalid = 0, failed = 0;           // attempts, by result
    uint64_t rollbacks_asked = 0, rollbacks_unconfirmed = 0; // of `applied`
    double last_change_unix_s = 0;
    bool last_change_ok = true;
    PolicySource source = PolicySource::file;
    std::optional<double> confirm_until_unix_s;
    bool last_good_saved = false; // the policy in force is on disk; false also without a state folder
    std::string degraded;         // reason and cure, empty when all is well
};

} // namespace sluice
