#include "control/loop.hpp"

#include <algorithm>
#include <thread>
#include <unordered_map>

#include "core/clock.hpp"

namespace sluice {
namespace {

constexpr uint64_t kShortestTick_ns = 500'000, kLongestTick_ns = 2'500'000;
constexpr double kTickFrames = 10;             // a tick lasts about this many full frames at capacity
constexpr size_t kManyClasses = 64;            // busy ones, above which the tick is paced by its cost
constexpr double kLoopShare = 0.04;            // of a core, then
constexpr uint64_t kMostPaced_ns = 20'000'000; // below kLateTick_s
constexpr double kCostSmoothing = 0.1;
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
            port.phantoms.push_back(phantom);
        }
        nodes.push_back(to_node(n));
    }
    port.tree = ShareTree(std::move(nodes));
    if (const auto rate = policy_.port(p).rate_bytes_per_s)
        port.config.policy_bytes_per_s = static_cast<double>(*rate);
    port.config.mtu_bytes = dataplane_.ports()[p].dev.mtu + 14 + policy_.port(p).overhead.bytes;
    return port;
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

// Ask ingress for a wake-up, look once more (a frame may have come before it saw the request), then wait.
void Loop::fall_asleep(const std::stop_token &stop) {
    {
        std::lock_guard lock(mutex_);
        asleep_ = true;
    }
    sluice_control &control = dataplane_.maps().control[0];
    while (!stop.stop_requested()) {
        __atomic_store_n(&control.wake, 1u, __ATOMIC_SEQ_CST);
        wake_.wait(kSleep_ns, stop);
        control.heartbeat_ns = monotonic_ns();
        if (!__atomic_load_n(&control.wake, __ATOMIC_SEQ_CST))
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

Result<> Loop::apply(const CompiledPolicy &policy) {
    std::lock_guard lock(mutex_);
    const uint32_t old_base = dataplane_.class_base();
    if (auto r = dataplane_.apply(policy); !r)
        return r;
    // Programs that read the old index finish within microseconds; then the old counters stand still.
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    flows_.collect(dataplane_.maps());
    flows_.forget_classes(dataplane_.maps(), old_base, policy_.class_count);
    const std::vector<PortRuntime> old = std::move(ports_);
    const CompiledPolicy old_policy = std::move(policy_);
    policy_ = policy;
    build_ports();
    carry_over(old, old_policy);
    return {};
}

const std::string &Loop::tenant_name(const CompiledPolicy &policy, const ClassRuntime &c) const {
    static const std::string nobody;
    const auto &tenants = policy.source.transitions[c.transition].tenants;
    return tenants ? tenants->list[c.tenant].name : nobody;
}

// Counters follow the names of port, tenant and class, what is known of the link follows the port.
void Loop::carry_over(const std::vector<PortRuntime> &old, const CompiledPolicy &old_policy) {
    const auto key = [this](const CompiledPolicy &policy, const ClassRuntime &c) {
        return tenant_name(policy, c) + "/" + policy.transitions[c.transition].classes[c.index].name;
    };
    for (auto &port : ports_) {
        for (const auto &from : old) {
            if (from.port != port.port)
                continue;
            port.capacity = from.capacity;
            std::unordered_map<std::string, ClassTotals> before;
            for (const auto &c : from.classes)
                before[key(old_policy, c)].add(totals(c));
            for (auto &c : port.classes)
                if (const auto found = before.find(key(policy_, c)); found != before.end()) {
                    c.carried = found->second;
                    before.erase(found); // two transitions may have classes of one name: count once
                }
        }
    }
}

} // namespace sluice
