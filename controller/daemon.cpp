#include "daemon.hpp"

#include <spdlog/spdlog.h>

#include "api/policy_json.hpp"
#include "core/clock.hpp"

namespace sluice {
Daemon::Daemon(DaemonOptions options)
    : options_(std::move(options)), policy_(options_.policy_file, options_.state_dir) {
    options_.server.log = [](const std::string &text) { spdlog::error("{}", text); };
}

Daemon::~Daemon() {
    stop();
}

Handlers Daemon::handlers() {
    Handlers h;
    h.snapshot = [this] { return snapshot(); };
    h.reload = [this] { return policy_.reload(); };
    h.drops = [this](uint64_t since, size_t limit) { return drops_->page(since, limit); };
    h.history = [this](double since) { return history_->since(since); };
    h.explain = [this](const PacketKey &key) { return loop_->explain(key); };
    h.apply = [this](ApplyRequest request) { return policy_.apply(std::move(request), monotonic_ns()); };
    h.confirm = [this] { return policy_.confirm(); };
    h.rollback = [this] { return policy_.rollback(); };
    h.policy = [this] { return policy_.running(); };
    return h;
}

Result<> Daemon::install(const CompiledPolicy &policy) {
    std::lock_guard lock(maps_mutex_);
    const uint64_t instances = dataplane_->instances();
    // What is slow comes first, beside the running policy.
    if (auto r = dataplane_->prepare(policy).and_then([&] { return loop_->apply(policy); }); !r)
        return r;
    drops_->use(policy, dataplane_->class_base());
    if (dataplane_->instances() == instances)
        return {};
    spdlog::info("{}", dataplane_->history());
    device_names_.clear();
    for (const auto &port : policy.source.ports)
        device_names_.insert(port.device);
    event_thread_ = {};
    if (auto r = events_->open(dataplane_->events_fd()); !r)
        spdlog::error("{}", to_string(r.error())); // the policy is in force; its drops go unexplained
    read_events();
    wake_.raise();
    return {};
}

void Daemon::read_events() {
    event_thread_ = std::jthread([this](const std::stop_token &stop) { events_->run(stop); });
}

Result<> Daemon::start() {
    const auto booted = policy_.boot();
    if (!booted)
        return tl::unexpected(booted.error());
    const CompiledPolicy &policy = *booted;
    auto dataplane = Dataplane::load(policy, options_.dataplane);
    if (!dataplane)
        return tl::unexpected(dataplane.error());
    dataplane_ = std::move(*dataplane);
    if (!dataplane_->history().empty())
        spdlog::info("{}", dataplane_->history());
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
    server_ = std::make_unique<Server>(options_.server, handlers());
    if (auto r = server_->start(); !r)
        return r;
    loop_->tick(monotonic_ns()); // shares are published before the first frame asks for them
    read_events();
    drops_thread_ = std::jthread([this](const std::stop_token &stop) { drops_->run(stop); });
    history_thread_ = std::jthread([this](const std::stop_token &stop) { history_->run(stop); });
    loop_thread_ = std::jthread([this](const std::stop_token &stop) { loop_->run(stop); });
    if (auto attached = loop_->attach(); !attached)
        return attached;
    attached_ = true;
    policy_.started([this](const CompiledPolicy &next) { return install(next); });
    trial_thread_ = std::jthread([this](const std::stop_token &stop) { policy_.run_trials(stop); });
    if (options_.watch)
        watch_thread_ = std::jthread([this](const std::stop_token &stop) { policy_.run_watch(stop); });
    world_thread_ = std::jthread(
        [this](const std::stop_token &stop) { world_->run(stop, [this] { return look_at_world(); }); });
    return {};
}

WatchedDevices Daemon::look_at_world() {
    std::lock_guard lock(maps_mutex_);
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
    watch_thread_ = {};
    trial_thread_ = {};
    world_thread_ = {};
    history_thread_ = {};
    loop_thread_ = {};
    event_thread_ = {};
    drops_thread_ = {};
    dataplane_.reset();
}

Snapshot Daemon::snapshot() {
    Snapshot s = loop_->snapshot();
    s.events = events_->received();
    s.events_lost = events_->lost();
    const PolicyState policy = policy_.state();
    if (!attached_)
        s.health.clear();
    else if (s.health == "ok" && !policy.degraded.empty())
        s.health = "degraded: " + policy.degraded;
    s.policy_generation = policy.generation;
    s.policy_source = to_string(policy.source);
    s.confirm_until_unix_s = policy.confirm_until_unix_s;
    s.last_good_saved = policy.last_good_saved;
    s.reloads_ok = policy.applied;
    s.reloads_invalid = policy.invalid;
    s.reloads_failed = policy.failed;
    s.rollbacks_asked = policy.rollbacks_asked;
    s.rollbacks_unconfirmed = policy.rollbacks_unconfirmed;
    s.last_reload_unix_s = policy.last_change_unix_s;
    s.last_reload_ok = policy.last_change_ok;
    return s;
}

} // namespace sluice
