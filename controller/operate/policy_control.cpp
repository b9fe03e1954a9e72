#include "operate/policy_control.hpp"

#include <spdlog/spdlog.h>

#include "core/clock.hpp"
#include "core/sha256.hpp"
#include "operate/file_watch.hpp"

namespace sluice {
namespace {

void log_diagnostics(const std::vector<Diagnostic> &diagnostics) {
    for (const auto &d : diagnostics)
        spdlog::log(d.severity == Diagnostic::error ? spdlog::level::err : spdlog::level::warn, "{}",
                    format(d));
}

// Tells one content of the files from another, also where it is no policy.
std::string fingerprint(const LoadResult &loaded) {
    std::string all = loaded.bytes.text;
    for (const auto &f : loaded.bytes.tenant_files)
        all += f.name + f.text;
    for (const auto &d : loaded.diagnostics)
        all += d.message;
    return sha256_hex(all);
}

ReloadOutcome refused(ReloadStatus status, std::string why) {
    ReloadOutcome outcome;
    outcome.status = status;
    outcome.failure = std::move(why);
    return outcome;
}

} // namespace

PolicyControl::PolicyControl(std::string policy_file, std::string state_dir)
    : policy_file_(std::move(policy_file)), last_good_(std::move(state_dir)) {}

Result<CompiledPolicy> PolicyControl::boot() {
    LoadResult loaded = load_policy_file(policy_file_);
    seen_ = fingerprint(loaded);
    log_diagnostics(loaded.diagnostics);
    if (!loaded.policy) {
        const Error bad{"policy " + policy_file_ + " is not valid", "the messages above say where and why",
                        ErrorKind::policy_invalid};
        auto saved = last_good_.read();
        if (!saved) {
            spdlog::error("{}", to_string(saved.error()));
            return tl::unexpected(bad);
        }
        loaded = load_policy_bytes(std::move(*saved));
        log_diagnostics(loaded.diagnostics);
        if (!loaded.policy)
            return tl::unexpected(bad);
        running_.source = PolicySource::last_good;
        boot_problem_ = "the policy file " + policy_file_ +
                        " is missing or bad, the last good policy is in force: " +
                        "correct the file, then sluicectl reload";
        spdlog::error("{} (kept in {})", boot_problem_, last_good_.path());
    }
    running_.bytes = std::move(loaded.bytes);
    running_.sha256 = loaded.policy->sha256;
    return compile(std::move(*loaded.policy));
}

void PolicyControl::started(Install install) {
    std::lock_guard changing(change_);
    install_ = std::move(install);
    {
        std::lock_guard lock(mutex_);
        state_.generation = 1;
        state_.last_change_unix_s = unix_seconds();
        state_.last_change_ok = running_.source != PolicySource::last_good;
    }
    keep_on_disk();
}

// The policy in force has worked: it is what a later start may fall back to.
void PolicyControl::keep_on_disk() {
    auto saved = last_good_.save(running_.bytes, running_.sha256);
    if (!saved)
        spdlog::warn("the last good policy on disk stays an older one: {}", to_string(saved.error()));
    std::lock_guard lock(mutex_);
    state_.last_good_saved = saved && last_good_.wanted();
}

std::optional<ReloadOutcome> PolicyControl::busy() const {
    if (!trial_)
        return {};
    return refused(ReloadStatus::busy, "a policy is on trial: sluicectl confirm or sluicectl rollback first");
}

void PolicyControl::note(const ReloadOutcome &outcome, const std::string &what) {
    const bool applied = outcome.status == ReloadStatus::applied;
    if (!outcome.failure.empty())
        spdlog::error("{}: {}", what, outcome.failure);
    spdlog::info("{}: {}", what, applied ? "applied" : "refused, the running policy stays");
    state_.last_change_ok = applied;
    if (applied)
        state_.last_change_unix_s = unix_seconds();
    (applied ? state_.applied : outcome.status == ReloadStatus::invalid ? state_.invalid : state_.failed)++;
}

// With change_ held.
ReloadOutcome PolicyControl::change(LoadResult loaded, PolicySource source, std::optional<Trial> trial) {
    ReloadOutcome outcome;
    const std::string what =
        (source == PolicySource::applied ? "apply of " : "reload of ") + loaded.bytes.file;
    log_diagnostics(loaded.diagnostics);
    outcome.diagnostics = loaded.diagnostics;
    if (!loaded.policy) {
        outcome.status = ReloadStatus::invalid;
    } else {
        Version next{std::move(loaded.bytes), loaded.policy->sha256, source};
        if (auto r = install_(compile(std::move(*loaded.policy))); r) {
            outcome.status = ReloadStatus::applied;
            std::lock_guard lock(mutex_);
            previous_ = std::exchange(running_, std::move(next));
            trial_ = trial;
            state_.generation++;
        } else {
            outcome.failure = to_string(r.error());
            outcome.status = r.error().kind == ErrorKind::busy ? ReloadStatus::busy : ReloadStatus::failed;
        }
    }
    {
        std::lock_guard lock(mutex_);
        note(outcome, what);
        outcome.generation = state_.generation;
    }
    if (outcome.status != ReloadStatus::applied)
        return outcome;
    if (trial) {
        outcome.confirm_until_unix_s = trial->ends_unix_s;
        spdlog::warn("{}: on trial, taken back unless it is confirmed in time", what);
    } else {
        keep_on_disk();
    }
    trial_changed_.notify_all();
    return outcome;
}

ReloadOutcome PolicyControl::reload() {
    std::lock_guard changing(change_);
    if (auto wait = busy())
        return *wait;
    LoadResult loaded = load_policy_file(policy_file_);
    seen_ = fingerprint(loaded);
    return change(std::move(loaded), PolicySource::file, {});
}

ReloadOutcome PolicyControl::apply(ApplyRequest request, uint64_t now_ns) {
    std::lock_guard changing(change_);
    if (auto wait = busy())
        return *wait;
    std::optional<Trial> trial;
    if (const auto within_s = request.confirm_within_s)
        trial = Trial{now_ns + static_cast<uint64_t>(*within_s * 1e9), unix_seconds() + *within_s};
    return change(load_policy_bytes(std::move(request.bytes)), PolicySource::applied, trial);
}

ReloadOutcome PolicyControl::confirm() {
    std::lock_guard changing(change_);
    if (!trial_)
        return refused(ReloadStatus::nothing, "no policy is on trial");
    ReloadOutcome outcome;
    {
        std::lock_guard lock(mutex_);
        trial_.reset();
        outcome.status = ReloadStatus::applied;
        outcome.generation = state_.generation;
    }
    spdlog::info("the policy on trial is confirmed");
    keep_on_disk();
    trial_changed_.notify_all();
    return outcome;
}

// With change_ held, and with an earlier policy. A trial ends either way: a policy that cannot be taken back
// now cannot be taken back a moment later.
ReloadOutcome PolicyControl::change_back(uint64_t PolicyState::*counter) {
    const PolicySource source = previous_->source;
    auto outcome = change(load_policy_bytes(previous_->bytes), source, {});
    std::lock_guard lock(mutex_);
    trial_.reset();
    if (outcome.status == ReloadStatus::applied)
        (state_.*counter)++;
    return outcome;
}

ReloadOutcome PolicyControl::rollback() {
    std::lock_guard changing(change_);
    if (!previous_)
        return refused(ReloadStatus::nothing, "there is no earlier policy: this one runs since the start");
    spdlog::info("rollback asked for");
    auto outcome = change_back(&PolicyState::rollbacks_asked);
    trial_changed_.notify_all();
    return outcome;
}

void PolicyControl::expire(uint64_t now_ns) {
    std::lock_guard changing(change_);
    if (!trial_ || now_ns < trial_->ends_ns)
        return;
    spdlog::warn("nobody confirmed the policy on trial: back to the one before");
    if (change_back(&PolicyState::rollbacks_unconfirmed).status != ReloadStatus::applied)
        spdlog::error("the policy on trial could not be taken back and stays in force");
}

void PolicyControl::run_trials(const std::stop_token &stop) {
    std::unique_lock lock(mutex_);
    while (!stop.stop_requested()) {
        if (!trial_) {
            trial_changed_.wait(lock, stop, [this] { return trial_.has_value(); });
            continue;
        }
        const uint64_t now = monotonic_ns(), ends = trial_->ends_ns;
        if (now < ends) {
            trial_changed_.wait_for(lock, stop, std::chrono::nanoseconds(ends - now),
                                    [&] { return !trial_ || trial_->ends_ns != ends; });
            continue;
        }
        lock.unlock();
        expire(now);
        lock.lock();
    }
}

// False: not now, a policy is on trial.
bool PolicyControl::watched_change(LoadResult loaded) {
    std::lock_guard changing(change_);
    if (trial_)
        return false;
    const std::string content = fingerprint(loaded);
    if (std::exchange(seen_, content) == content)
        return true;
    // Somebody applied it first, and puts it in place now.
    if (loaded.policy && loaded.policy->sha256 == running_.sha256) {
        spdlog::info("{} holds the policy in force now", policy_file_);
        std::lock_guard lock(mutex_);
        running_.source = PolicySource::file;
        running_.bytes.file = policy_file_;
        return true;
    }
    change(std::move(loaded), PolicySource::file, {});
    return true;
}

void PolicyControl::run_watch(const std::stop_token &stop) {
    constexpr auto trial_poll = std::chrono::seconds(1);
    const auto files_of = [this](const LoadResult &loaded) {
        std::vector<std::string> files{policy_file_};
        for (const auto &f : loaded.bytes.tenant_files)
            files.push_back(beside(policy_file_, f.name));
        return files;
    };
    auto watch = FileWatch::open();
    if (!watch) {
        spdlog::error("watch {}: {}", policy_file_, to_string(watch.error()));
        return;
    }
    watch->follow({policy_file_});
    while (!stop.stop_requested()) {
        LoadResult loaded = load_policy_file(policy_file_);
        if (watch->follow(files_of(loaded)))
            continue;
        if (!watch->at_rest())
            watch->wait(stop, FileWatch::settle); // it changes while it is read: look again
        else if (watched_change(std::move(loaded)))
            watch->wait(stop, FileWatch::for_ever);
        else
            watch->wait(stop, trial_poll);
    }
}

RunningPolicy PolicyControl::running() const {
    std::lock_guard lock(mutex_);
    RunningPolicy out{running_.bytes, running_.sha256, running_.source, policy_file_, {}};
    if (trial_)
        out.confirm_until_unix_s = trial_->ends_unix_s;
    return out;
}

PolicyState PolicyControl::state() const {
    std::lock_guard lock(mutex_);
    PolicyState out = state_;
    out.source = running_.source;
    if (trial_)
        out.confirm_until_unix_s = trial_->ends_unix_s;
    if (running_.source == PolicySource::last_good)
        out.degraded = boot_problem_;
    return out;
}

} // namespace sluice
