// Which policy is in force: the one place where it changes. Reads the policy file, takes policies from
// sluicectl, takes back what nobody confirmed, keeps the last that worked on disk. One change at a time; a
// policy that is not good changes nothing.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <stop_token>
#include <string>

#include "core/result.hpp"
#include "operate/last_good.hpp"
#include "operate/outcome.hpp"
#include "policy/compile.hpp"

namespace sluice {

class PolicyControl {
  public:
    // Makes a policy the one in force, or changes nothing.
    using Install = std::function<Result<>(const CompiledPolicy &)>;

    // `state_dir`: of the last good policy, "" = none is kept.
    PolicyControl(std::string policy_file, std::string state_dir);

    // Once, before the data path: the policy of the file, or the last good one where that is missing or bad.
    // Error: neither is there.
    Result<CompiledPolicy> boot();
    // The data path took the policy of boot(). From here on changes go to `install`.
    void started(Install install);

    // Any thread, from here on.
    ReloadOutcome reload();
    ReloadOutcome apply(ApplyRequest request, uint64_t now_ns);
    ReloadOutcome confirm();
    // To the policy before the last change; a second one goes forth again.
    ReloadOutcome rollback();
    RunningPolicy running() const;
    PolicyState state() const;

    // Takes back a trial whose time is over.
    void expire(uint64_t now_ns);
    // The same, when its time is over; until told to stop.
    void run_trials(const std::stop_token &stop);
    // Reloads whenever the policy file, or a file that it names, has changed; until told to stop.
    void run_watch(const std::stop_token &stop);

  private:
    struct Version {
        PolicyBytes bytes;
        std::string sha256;
        PolicySource source = PolicySource::file;
    };
    struct Trial {
        uint64_t ends_ns = 0; // CLOCK_MONOTONIC
        double ends_unix_s = 0;
    };

    ReloadOutcome change(LoadResult loaded, PolicySource source, std::optional<Trial> trial);
    ReloadOutcome change_back(uint64_t PolicyState::*counter);
    bool watched_change(LoadResult loaded);
    std::optional<ReloadOutcome> busy() const;
    void keep_on_disk();
    void note(const ReloadOutcome &outcome, const std::string &what);

    const std::string policy_file_;
    const LastGood last_good_;
    Install install_;
    std::string boot_problem_; // why the last good policy is in force

    std::mutex change_; // one change at a time; held while the data path works
    std::string seen_;  // content of the files as last looked at by the watch or by a reload
    std::optional<Version> previous_;

    mutable std::mutex mutex_; // of what follows; never held for long. Written only with change_ held
    std::condition_variable_any trial_changed_;
    Version running_;
    std::optional<Trial> trial_;
    PolicyState state_;
};

} // namespace sluice
