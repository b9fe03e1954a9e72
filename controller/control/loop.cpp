#include "control/loop.hpp"

#include <algorithm>
#include <cmath>
#include <thread>

#include <sluice/phantom.h>

#include "core/clock.hpp"

namespace sluice {
namespace {

constexpr uint64_t kShortestTick_ns = 500'000, kLongestTick_ns = 2'500'000;
constexpr double kTickFrames = 10;            // a tick lasts about this many full frames at capacity
constexpr uint64_t kQuiet_ns = 50'000'000;    // nothing to do for so long: sleep
constexpr uint64_t kSleep_ns = 1'000'000'000; // heartbeat while asleep
constexpr double kFrameBytes = 1514;
constexpr double kGuardLimit_s = 0.080;
constexpr double kSmallestRate = 125; // bytes/s per flow, keeps the inverse in range

uint64_t to_ns(double seconds) {
    return static_cast<uint64_t>(std::llround(std::max(seconds, 0.0) * 1e9));
}

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
    : dataplane_(dataplane), policy_(std::move(policy)), wake_(wake) {
    build_ports();
}

// One runtime per egress port, with the classes of every transition that leads to it.
void Loop::build_ports() {
    ports_.clear();
    for (uint32_t p = 0; p < policy_.source.ports.size(); p++) {
        PortRuntime port;
        port.port = p;
        for (uint32_t t = 0; t < policy_.transitions.size(); t++) {
            const auto &transition = policy_.transitions[t];
            if (transition.to != p)
                continue;
            for (uint32_t i = 0; i < transition.classes.size(); i++) {
                ClassRuntime c;
                c.id = dataplane_.class_base() + transition.first_class + i;
                c.transition = t;
                c.index = i;
                port.classes.push_back(c);
                PhantomClass phantom;
                phantom.priority = transition.classes[i].priority;
                phantom.weight = transition.classes[i].weight;
                port.phantoms.push_back(phantom);
            }
        }
        if (port.classes.empty())
            continue;
        if (const auto rate = policy_.port(p).rate_bytes_per_s)
            port.config.policy_bytes_per_s = static_cast<double>(*rate);
        port.config.mtu_bytes = dataplane_.ports()[p].dev.mtu + 14 + policy_.port(p).overhead.bytes;
        ports_.push_back(std::move(port));
    }
}

RingObservation Loop::observe_rings(uint32_t port) {
    RingObservation sum;
    if (!dataplane_.ports()[port].ring_rules() || !dataplane_.sample(port))
        return sum;
    for (uint32_t i = 0; i < dataplane_.maps().cpus; i++) {
        const sluice_reading &r = dataplane_.maps().ring(port, i).tick;
        if (!r.valid)
            continue;
        sum.readable = true;
        sum.drained_bytes += r.drained_bytes;
        sum.waiting_bytes += r.waiting_bytes;
        sum.occupancy += r.occupancy;
        sum.size = std::max(sum.size, r.size);
        sum.empties += r.empties;
    }
    return sum;
}

namespace {

// Guarantees and ceilings in percent follow the capacity.
void resolve_rates(PhantomClass &phantom, const CompiledClass &c, double capacity) {
    phantom.guaranteed_bytes_per_s =
        c.min_bytes_per_s ? static_cast<double>(*c.min_bytes_per_s) : c.min_fraction.value_or(0) * capacity;
    phantom.ceiling_bytes_per_s = c.ceil_bytes_per_s ? static_cast<double>(*c.ceil_bytes_per_s)
                                                     : c.ceil_fraction.value_or(0) * capacity;
}

} // namespace

PhantomInput Loop::class_input(ClassRuntime &c) {
    Maps &maps = dataplane_.maps();
    uint64_t admitted = 0;
    for (uint32_t cpu = 0; cpu < maps.cpus; cpu++)
        admitted += __atomic_load_n(&maps.class_count(c.id, cpu).admitted_bytes, __ATOMIC_RELAXED);
    const uint64_t since = admitted - c.admitted_bytes;
    c.admitted_bytes = admitted;
    flows_.finishes(maps, c.id, c.finishes);
    return {static_cast<double>(since), c.finishes};
}

Demand Loop::demand_of(PortRuntime &port) const {
    double backlog = 0;
    uint64_t refused = 0;
    for (const auto &p : port.phantoms)
        backlog += p.backlog_bytes;
    for (const auto &c : port.classes)
        for (uint32_t cpu = 0; cpu < dataplane_.maps().cpus; cpu++) {
            const auto &outcome = dataplane_.maps().class_count(c.id, cpu).outcome;
            refused += outcome[SLUICE_MARK] + outcome[SLUICE_DROP_CODEL] + outcome[SLUICE_DROP_LIMIT];
        }
    const bool more = refused != port.refused;
    port.refused = refused;
    return {backlog, more};
}

const CompiledClass &Loop::config_of(const ClassRuntime &c) const {
    return policy_.transitions[c.transition].classes[c.index];
}

void Loop::tick_port(PortRuntime &port, uint64_t now_ns, double dt_s) {
    if (dt_s > kLateTick_s) {
        port.capacity.last = {}; // what drained meanwhile is no measurement
        for (size_t i = 0; i < port.classes.size(); i++)
            adopt(port.classes[i], port.phantoms[i], now_ns);
        dt_s = 0;
    }
    capacity_step(port.capacity, port.config, observe_rings(port.port), demand_of(port), dt_s);

    const double capacity = granted(port.capacity);
    std::vector<PhantomInput> inputs;
    for (size_t i = 0; i < port.classes.size(); i++) {
        resolve_rates(port.phantoms[i], config_of(port.classes[i]), capacity);
        inputs.push_back(class_input(port.classes[i]));
        if (inputs.back().admitted_bytes > 0 || port.phantoms[i].backlog_bytes > 0)
            last_busy_ns_ = now_ns;
    }
    phantom_step(port.phantoms, inputs,
                 {capacity, dt_s, static_cast<double>(port.capacity.last.waiting_bytes)});
    for (size_t i = 0; i < port.classes.size(); i++) {
        publish(port, i, now_ns);
        flows_.forget_idle(dataplane_.maps(), port.classes[i].id, port.phantoms[i].vt);
    }
    publish_guard(port);
}

// Ingress went on without us: its virtual clock is the truth, and the backlog is what the flows are ahead of
// it.
void Loop::adopt(ClassRuntime &c, PhantomClass &phantom, uint64_t now_ns) {
    const sluice_class &shared = dataplane_.maps().classes[c.id];
    class_input(c); // what was admitted meanwhile is in the flows' finishes
    phantom_adopt(phantom, sluice_vt(&shared.share[shared.current & 1], now_ns), c.finishes);
}

void Loop::publish(PortRuntime &port, size_t index, uint64_t now_ns) {
    ClassRuntime &c = port.classes[index];
    const PhantomClass &phantom = port.phantoms[index];
    const double capacity = granted(port.capacity);
    const double frame_s = port.config.mtu_bytes / capacity;
    c.aqm = resolve_aqm(policy_.transitions[c.transition].aqm, frame_s, frame_s * port.capacity.last.size,
                        phantom.active_flows - (phantom.active_flows > 1)); // one sparse flow is often caught
    c.rate_per_flow =
        std::max(phantom.service_bytes_per_s / std::max(1u, phantom.active_flows), kSmallestRate);

    sluice_class &shared = dataplane_.maps().classes[c.id];
    const uint32_t next = 1 - (shared.current & 1);
    sluice_share &s = shared.share[next];
    s.vt0 = phantom.vt;
    s.t0_ns = now_ns;
    s.bytes_per_ns = static_cast<uint64_t>(c.rate_per_flow * 1e-9 * 4294967296.0);
    s.ns_per_byte = static_cast<uint64_t>(1e9 / c.rate_per_flow * 1048576.0);
    const double frame = port.config.mtu_bytes;
    s.target_bytes = static_cast<uint64_t>(std::max(c.aqm.target_s * c.rate_per_flow, frame));
    s.step_bytes = static_cast<uint64_t>(std::max(c.aqm.step_s * c.rate_per_flow, frame));
    s.short_limit_bytes = static_cast<uint64_t>(std::max(c.aqm.short_limit_s * c.rate_per_flow, frame));
    s.limit_bytes = static_cast<uint64_t>(std::max(c.aqm.limit_s * c.rate_per_flow, frame));
    shared.codel = {to_ns(c.aqm.target_s), to_ns(c.aqm.interval_s)};
    __atomic_store_n(&shared.current, next, __ATOMIC_RELEASE);
}

// The guard stands well above what the phantom scheduler lets happen: it is for the time when that fails.
void Loop::publish_guard(PortRuntime &port) {
    sluice_port &shared = dataplane_.maps().ports[port.port];
    if (port.capacity.capacity_bytes_per_s <= 0)
        return; // what the dataplane set holds until something is known
    const double ring_s =
        port.config.mtu_bytes * port.capacity.last.size / port.capacity.capacity_bytes_per_s;
    const double limit_s = ring_s > 0 ? std::min(kGuardLimit_s, ring_s * 0.9) : kGuardLimit_s;
    shared.guard = {to_ns(limit_s / 4), 100'000'000};
    shared.guard_limit_ns = to_ns(limit_s);
    shared.ns_per_byte = static_cast<uint64_t>(1e9 / port.capacity.capacity_bytes_per_s * 1048576.0);
}

void Loop::tick(uint64_t now_ns) {
    std::lock_guard lock(mutex_);
    const double dt_s = last_tick_ns_ ? static_cast<double>(now_ns - last_tick_ns_) * 1e-9 : 0;
    last_tick_ns_ = now_ns;
    flows_.collect(dataplane_.maps());
    for (auto &port : ports_)
        tick_port(port, now_ns, dt_s);
    dataplane_.maps().control[0].heartbeat_ns = now_ns;
    ticks_++;
}

uint64_t Loop::period_ns() const {
    double shortest = static_cast<double>(kLongestTick_ns);
    for (const auto &port : ports_)
        shortest = std::min(shortest, kTickFrames * port.config.mtu_bytes / granted(port.capacity) * 1e9);
    return std::max(static_cast<uint64_t>(shortest), kShortestTick_ns);
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
        const uint64_t now = monotonic_ns();
        tick(now);
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
    if (auto r = dataplane_.apply(policy); !r)
        return r;
    // Programs that read the old index finish within microseconds; then the old counters stand still.
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    const std::vector<PortRuntime> old = std::move(ports_);
    const CompiledPolicy old_policy = std::move(policy_);
    policy_ = policy;
    build_ports();
    carry_over(old, old_policy);
    return {};
}

// Counters follow the names of port and class, what is known of the link follows the port.
void Loop::carry_over(const std::vector<PortRuntime> &old, const CompiledPolicy &old_policy) {
    for (auto &port : ports_) {
        for (const auto &from : old) {
            if (from.port != port.port)
                continue;
            port.capacity = from.capacity;
            for (auto &c : port.classes)
                for (const auto &before : from.classes)
                    if (old_policy.transitions[before.transition].classes[before.index].name ==
                        config_of(c).name)
                        c.carried = totals(before);
        }
    }
}

} // namespace sluice
