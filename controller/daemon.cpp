#include "daemon.hpp"

#include <spdlog/spdlog.h>

#include "core/clock.hpp"
#include "policy/load.hpp"

namespace sluice {
namespace {

void log_diagnostics(const std::vector<Diagnostic> &diagnostics) {
    for (const auto &d : diagnostics)
        spdlog::log(d.severity == Diagnostic::error ? spdlog::level::err : spdlog::level::warn, "{}",
                    format(d));
}

} // namespace

Daemon::Daemon(DaemonOptions options) : options_(std::move(options)) {
    options_.server.log = [](const std::string &text) { spdlog::error("{}", text); };
}

Daemon::~Daemon() {
    stop();
}

Result<> Daemon::start() {
    LoadResult loaded = load_policy_file(options_.policy_file);
    log_diagnostics(loaded.diagnostics);
    if (!loaded.policy)
        return fail("policy " + options_.policy_file + " is not valid",
                    "the messages above say where and why");
    const CompiledPolicy policy = compile(std::move(*loaded.policy));
    auto dataplane = Dataplane::load(policy, options_.dataplane);
    if (!dataplane)
        return tl::unexpected(dataplane.error());
    dataplane_ = std::move(*dataplane);
    loop_ = std::make_unique<Loop>(*dataplane_, policy, wake_);
    events_ = std::make_unique<EventReader>([this] { wake_.raise(); });
    if (auto r = events_->open(dataplane_->events_fd()); !r)
        return r;
    drops_ = std::make_unique<Drops>(*events_);
    drops_->use(policy, dataplane_->class_base());
    history_ = std::make_unique<History>([this] { return snapshot(); });
    for (const auto &port : policy.source.ports)
        device_names_.insert(port.device);
    auto world = WorldWatch::open();
    if (!world)
        return tl::unexpected(world.error());
    world_ = std::make_unique<WorldWatch>(std::move(*world));
    server_ = std::make_unique<Server>(
        options_.server, Handlers{[this] { return snapshot(); }, [this] { return reload(); },
                                  [this](uint64_t since, size_t limit) { return drops_->page(since, limit); },
                                  [this](double since) { return history_->since(since); },
                                  [this](const PacketKey &key) { return loop_->explain(key); }});
    if (auto r = server_->start(); !r)
        return r;
    loop_->tick(monotonic_ns()); // shares are published before the first frame asks for them
    event_thread_ = std::jthread([this](const std::stop_token &stop) { events_->run(stop); });
    drops_thread_ = std::jthread([this](const std::stop_token &stop) { drops_->run(stop); });
    history_thread_ = std::jthread([this](const std::stop_token &stop) { history_->run(stop); });
    loop_thread_ = std::jthread([this](const std::stop_token &stop) { loop_->run(stop); });
    auto attached = dataplane_->attach();
    {
        std::lock_guard lock(reload_mutex_);
        attached_ = attached.has_value();
        last_reload_unix_s_ = unix_seconds();
    }
    if (attached)
        world_thread_ = std::jthread(
            [this](const std::stop_token &stop) { world_->run(stop, [this] { return look_at_world(); }); });
    return attached;
}

WatchedDevices Daemon::look_at_world() {
    std::lock_guard lock(reload_mutex_); // apply() and follow() work on the same maps
    const auto moved = dataplane_->look();
    if (!moved)
        spdlog::warn("{}", to_string(moved.error()));
    if (moved && *moved) {
        if (auto r = loop_->follow(); !r)
            spdlog::warn("{}", to_string(r.error()));
        for (const auto &port : dataplane_->ports())
            spdlog::info("port device {} ifindex {}: {}", port.dev.name, port.dev.ifindex,
                         port.degraded.empty() ? "ok" : port.degraded);
    }
    WatchedDevices watched;
    for (const auto &port : dataplane_->ports()) {
        watched.ifindexes.insert(port.dev.ifindex);
        watched.names.insert(port.dev.name);
    }
    for (const auto &name : device_names_)
        watched.names.insert(name);
    return watched;
}

void Daemon::stop() {
    if (server_)
        server_->stop();
    world_thread_ = {};
    history_thread_ = {};
    loop_thread_ = {};
    event_thread_ = {};
    drops_thread_ = {};
    dataplane_.reset();
}

ReloadOutcome Daemon::reload() {
    std::lock_guard lock(reload_mutex_);
    ReloadOutcome outcome;
    LoadResult loaded = load_policy_file(options_.policy_file);
    outcome.diagnostics = loaded.diagnostics;
    log_diagnostics(loaded.diagnostics);
    last_reload_ok_ = false;
    if (!loaded.policy) {
        outcome.status = ReloadStatus::invalid;
    } else if (const auto policy = compile(std::move(*loaded.policy)); auto r = loop_->apply(policy)) {
        drops_->use(policy, dataplane_->class_base());
        outcome.status = ReloadStatus::applied;
        generation_++;
        last_reload_ok_ = true;
    } else {
        outcome.status = ReloadStatus::failed;
        outcome.failure = to_string(r.error());
        spdlog::error("reload: {}", outcome.failure);
    }
    outcome.generation = generation_;
    last_reload_ok_ ? reloads_ok_++ : reloads_failed_++;
    if (last_reload_ok_)
        last_reload_unix_s_ = unix_seconds();
    spdlog::info("reload of {}: {}", options_.policy_file,
                 last_reload_ok_ ? "applied" : "refused, the running policy stays");
    return outcome;
}

Snapshot Daemon::snapshot() {
    Snapshot s = loop_->snapshot();
    s.events = events_->received();
    s.events_lost = events_->lost();
    std::lock_guard lock(reload_mutex_);
    if (!attached_)
        s.health.clear();
    s.policy_generation = generation_;
    s.reloads_ok = reloads_ok_;
    s.reloads_failed = reloads_failed_;
    s.last_reload_unix_s = last_reload_unix_s_;
    s.last_reload_ok = last_reload_ok_;
    return s;
}

} // namespace sluice
