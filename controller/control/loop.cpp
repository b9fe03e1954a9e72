#include "control/loop.hpp"

#include <algorithm>

#include <sluice/phantom.h>

#include "core/clock.hpp"

namespace sluice {
namespace {

constexpr uint64_t kShortestTick_ns = 500'000, kLongestTick_ns = 2'500'000;
constexpr double kTickFrames = 10;             // a tick lasts about this many full frames at capacity
constexpr size_t kManyClasses = 64;            // busy ones, above which the tick is paced by its cost
constexpr double kLoopShare = 0.04;            // of a core, then
constexpr uint64_t kMostPaced_ns = 20'000'000; // below kLateTick_s
constexpr double kCostSmoothing = 0.1;
constexpr double kInverse = 1ull << SLUICE_INVERSE_SHIFT;
constexpr uint64_t kQuiet_ns = 50'000'000;    // nothing to do for so long: sleep
constexpr uint64_t kSleep_ns = 1'000'000'000; // heartbeat while asleep

} // namespace

void WakeSignal::raise() {
    std::lock_guard lock(mutex_);
    raised_ = true;
    changed_.notify_all();
}

void WakeSignal::wait(uint64_t timeout_ns, const std::stop_token &stop) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, stop, std::chrono::nanoseconds(timeout_ns), [&] { return raised_; });
    raised_ = false;
}

Loop::Loop(Dataplane &dataplane, CompiledPolicy policy, WakeSignal &wake)
    : dataplane_(dataplane), policy_(std::move(policy)), wake_(wake), flows_(dataplane.maps()) {
    if (dataplane.adopted())
        flows_.adopt(dataplane.maps(), dataplane.class_base(), policy_.class_count);
    build_ports();
}

namespace {

HostKind hosts_of(const CompiledTransition &t) {
    switch (t.image.isolate) {
    case SLUICE_ISOLATE_DUAL_SRC:
    case SLUICE_ISOLATE_DUAL_DST:
        return HostKind::one;
    case SLUICE_ISOLATE_TRIPLE:
        return HostKind::either_of_two;
    default:
        return HostKind::none;
    }
}

ShareTree::Node to_node(const TreeNode &n) {
    const auto bytes = [](const std::optional<uint64_t> &rate) {
        return static_cast<double>(rate.value_or(0));
    };
    const Share &s = n.share;
    return {n.parent,
            s.priority,
            static_cast<double>(s.weight),
            bytes(s.min_bytes_per_s),
            bytes(s.ceil_bytes_per_s),
            s.min_fraction.value_or(0),
            s.ceil_fraction.value_or(0)};
}

} // namespace

// One runtime per egress port, with the classes of every transition that leads to it.
Loop::PortRuntime Loop::build_port(uint32_t p) const {
    PortRuntime port;
    port.port = p;
    std::vector<ShareTree::Node> nodes;
    for (const TreeNode &n : scheduling_tree(policy_, p)) {
        if (n.class_id != TreeNode::no_class) {
            ClassRuntime c;
            c.id = dataplane_.class_base() + n.class_id;
            c.transition = n.transition;
            c.tenant = n.tenant;
            c.index = n.class_index;
            c.hosts = hosts_of(policy_.transitions[n.transition]);
            port.classes.push_back(c);
            PhantomClass phantom;
            phantom.node = static_cast<uint32_t>(nodes.size());
            phantom.vt = dataplane_.maps().classes[c.id].share[0].vt0;
            port.phantoms.push_back(phantom);
        }
        nodes.push_back(to_node(n));
    }
    port.tree = ShareTree(std::move(nodes));
    note_link(port);
    // An earlier controller may have known the link.
    if (const uint64_t inverse = dataplane_.maps().ports[p].ns_per_byte) {
        port.capacity.link_bytes_per_s = 1e9 * kInverse / static_cast<double>(inverse);
        port.capacity.capacity_bytes_per_s =
            std::min(port.capacity.link_bytes_per_s, port.config.policy_bytes_per_s.value_or(1e15));
    }
    return port;
}

// What the device says bounds what the policy says: a link may come up slower than it should.
void Loop::note_link(PortRuntime &port) const {
    const PortFacts &facts = dataplane_.ports()[port.port];
    const auto rate = policy_.port(port.port).rate_bytes_per_s;
    const auto speed = facts.preflight.speed_bits_per_s;
    if (rate)
        port.config.policy_bytes_per_s = static_cast<double>(std::min(*rate, speed ? *speed / 8 : *rate));
    port.config.mtu_bytes = facts.dev.mtu + 14 + policy_.port(port.port).overhead.bytes;
}

Result<> Loop::follow() {
    std::lock_guard lock(mutex_);
    auto done = dataplane_.follow();
    for (auto &port : ports_) {
        const auto before = port.config.policy_bytes_per_s;
        note_link(port);
        if (port.config.policy_bytes_per_s != before)
            port.capacity.capacity_bytes_per_s = *port.config.policy_bytes_per_s;
    }
    return done;
}

void Loop::build_ports() {
    ports_.clear();
    place_of_.assign(dataplane_.maps().classes.size(), {});
    for (uint32_t p = 0; p < policy_.source.ports.size(); p++) {
        PortRuntime port = build_port(p);
        if (port.classes.empty())
            continue;
        for (uint32_t i = 0; i < port.classes.size(); i++)
            place_of_[port.classes[i].id] = {static_cast<uint32_t>(ports_.size()), i};
        ports_.push_back(std::move(port));
    }
    build_pauses();
}

const CompiledClass &Loop::config_of(const ClassRuntime &c) const {
    return policy_.transitions[c.transition].classes[c.index];
}

void Loop::tick(uint64_t now_ns) {
    std::lock_guard lock(mutex_);
    const double dt_s = last_tick_ns_ ? static_cast<double>(now_ns - last_tick_ns_) * 1e-9 : 0;
    last_tick_ns_ = now_ns;
    gather(now_ns, dt_s > kLateTick_s);
    for (auto &port : ports_)
        tick_port(port, now_ns, dt_s);
    tick_pauses(now_ns);
    flows_.sweep();
    dataplane_.maps().control[0].heartbeat_ns = now_ns;
    ticks_++;
}

// A tick lasts a few frames of the fastest port. Where many classes are busy it costs more: then it comes
// less often, so that the loop never takes more than its share of a core; a class's share of many changes
// slowly.
uint64_t Loop::period_ns() const {
    std::lock_guard lock(mutex_);
    return period_now_ns();
}

uint64_t Loop::period_now_ns() const {
    double period = static_cast<double>(kLongestTick_ns);
    size_t busy = 0;
    for (const auto &port : ports_) {
        period = std::min(period, kTickFrames * port.config.mtu_bytes / granted(port.capacity) * 1e9);
        busy += port.inputs.size();
    }
    period = std::max(period, static_cast<double>(kShortestTick_ns));
    if (busy > kManyClasses)
        period = std::clamp(tick_cost_ns_ / kLoopShare, period, static_cast<double>(kMostPaced_ns));
    return static_cast<uint64_t>(period);
}

void Loop::ask_for_wake_up() {
    std::lock_guard lock(mutex_); // apply() may exchange the maps
    asleep_ = true;
    __atomic_store_n(&dataplane_.maps().control[0].wake, 1u, __ATOMIC_SEQ_CST);
}

bool Loop::woken() {
    std::lock_guard lock(mutex_);
    sluice_control &control = dataplane_.maps().control[0];
    control.heartbeat_ns = monotonic_ns();
    return !__atomic_load_n(&control.wake, __ATOMIC_SEQ_CST);
}

// Ask ingress for a wake-up, look once more (a frame may have come before it saw the request), then wait.
void Loop::fall_asleep(const std::stop_token &stop) {
    while (!stop.stop_requested()) {
        ask_for_wake_up();
        wake_.wait(kSleep_ns, stop);
        if (woken())
            break;
    }
    std::lock_guard lock(mutex_);
    asleep_ = false;
    last_tick_ns_ = last_busy_ns_ = monotonic_ns();
}

void Loop::run(const std::stop_token &stop) {
    uint64_t next = monotonic_ns();
    last_busy_ns_ = next;
    while (!stop.stop_requested()) {
        const uint64_t now = monotonic_ns(), cpu = thread_cpu_ns();
        tick(now);
        tick_cost_ns_ += kCostSmoothing * (static_cast<double>(thread_cpu_ns() - cpu) - tick_cost_ns_);
        if (now - last_busy_ns_ > kQuiet_ns) {
            fall_asleep(stop);
            next = monotonic_ns();
            continue;
        }
        next = std::max(next + period_ns(), now + kShortestTick_ns / 2);
        const timespec until{static_cast<time_t>(next / 1'000'000'000),
                             static_cast<long>(next % 1'000'000'000)};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
    }
}

Result<> Loop::attach() {
    std::lock_guard lock(mutex_);
    return dataplane_.attach();
}

Result<> Loop::apply(const CompiledPolicy &policy) {
    std::lock_guard lock(mutex_);
    const uint32_t old_base = dataplane_.class_base();
    const uint64_t instances = dataplane_.instances();
    if (auto r = dataplane_.apply(policy); !r)
        return r;
    const bool same_maps = dataplane_.instances() == instances;
    if (same_maps) {
        flows_.collect(dataplane_.maps());
        flows_.forget_classes(dataplane_.maps(), old_base, policy_.class_count);
    } else {
        flows_ = FlowTable(dataplane_.maps());
    }
    const std::vector<PortRuntime> old = std::move(ports_);
    const CompiledPolicy old_policy = std::move(policy_);
    policy_ = policy;
    build_ports();
    carry_over(old, old_policy, same_maps);
    return {};
}

const std::string &Loop::tenant_name(const CompiledPolicy &policy, const ClassRuntime &c) const {
    static const std::string nobody;
    const auto &tenants = policy.source.transitions[c.transition].tenants;
    return tenants ? tenants->list[c.tenant].name : nobody;
}

// What is known of the link follows the port; counters did so in the maps. Readings of one instance say
// nothing about those of another.
void Loop::carry_over(const std::vector<PortRuntime> &old, const CompiledPolicy &old_policy, bool same_maps) {
    for (auto &port : ports_)
        for (const auto &from : old) {
            if (old_policy.port(from.port).name != policy_.port(port.port).name)
                continue;
            port.capacity = from.capacity;
            if (!same_maps)
                port.capacity.last = {};
        }
}

} // namespace sluice
