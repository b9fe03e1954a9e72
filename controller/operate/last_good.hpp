// The last policy that worked, on disk: what the daemon starts with when the policy file is missing or bad.
// One file, readable by people, replaced as a whole or not at all; a full or read-only disk leaves the old
// one.
#pragma once

#include <string>

#include "core/result.hpp"
#include "policy/load.hpp"

namespace sluice {

class LastGood {
  public:
    // `folder`: "" = nothing is kept.
    explicit LastGood(std::string folder) : folder_(std::move(folder)) {}

    bool wanted() const { return !folder_.empty(); }
    std::string path() const { return folder_ + "/last-good.yaml"; }

    // `sha256` as Policy::sha256 has it. Written beside, synced, then renamed.
    Result<> save(const PolicyBytes &bytes, const std::string &sha256) const;
    // Error: there is none, or it is not what was written.
    Result<PolicyBytes> read() const;

  private:
    std::string folder_;
};

} // namespace sluice
