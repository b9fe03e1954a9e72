#include "control/loop.hpp"

#include <algorithm>
#include <cmath>

#include <sluice/phantom.h>

namespace sluice {
namespace {

constexpr double kGuardLimit_s = 0.080;
constexpr double kGuardFrames = 16;   // a bulk is never too much
constexpr double kSmallestRate = 125; // bytes/s per flow, keeps the inverse in range
constexpr uint32_t kManyFlows = 64;   // of a class; fewer are held by their own limits
constexpr uint32_t kIdlePerTick = 16; // idle classes whose published share is brought up to date

uint64_t to_ns(double seconds) {
    return static_cast<uint64_t>(std::llround(std::max(seconds, 0.0) * 1e9));
}

// Frames that the law of the class refused or marked, whatever became of them.
uint64_t signals(const sluice_class_count &count) {
    uint64_t sum =
        count.outcome[SLUICE_MARK] + count.outcome[SLUICE_DROP_CODEL] + count.outcome[SLUICE_DROP_LIMIT];
    for (unsigned i = SLUICE_SPILL; i <= SLUICE_BOUNCE; i++)
        sum += count.outcome[i];
    return sum;
}

} // namespace

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

// Ingress carries a class's virtual clock on between publications, and over any time in which nothing is
// published.
uint64_t Loop::ingress_vt(const ClassRuntime &c, uint64_t now_ns) {
    const sluice_class &shared = dataplane_.maps().classes[c.id];
    return sluice_vt(&shared.share[shared.current & 1], now_ns);
}

void Loop::gather_class(PortRuntime &port, uint32_t index, uint64_t now_ns, bool late) {
    ClassRuntime &c = port.classes[index];
    PhantomClass &phantom = port.phantoms[index];
    Maps &maps = dataplane_.maps();
    uint64_t admitted = 0, refused = 0;
    for (uint32_t cpu = 0; cpu < maps.cpus; cpu++) {
        const sluice_class_count &count = maps.class_count(c.id, cpu);
        admitted += __atomic_load_n(&count.admitted_bytes, __ATOMIC_RELAXED);
        refused += signals(count);
    }
    PhantomInput in{index, static_cast<double>(admitted - c.admitted_bytes), {}};
    port.refused |= refused != c.refused && !phantom.under_ceiling;
    c.admitted_bytes = admitted;
    c.refused = refused;
    // What was admitted while nobody looked is in the flows' finishes.
    const bool adopt = late || !c.active;
    const uint64_t vt = adopt ? ingress_vt(c, now_ns) : phantom.vt;
    in.flows = flows_.lags(maps, c.id, c.hosts, vt);
    if (adopt) {
        phantom_adopt(phantom, vt, in.flows);
        in.admitted_bytes = 0;
    }
    if (adopt || in.admitted_bytes > 0 || phantom.backlog_bytes > 0)
        last_busy_ns_ = now_ns;
    c.active = true;
    port.inputs.push_back(in);
}

void Loop::gather(uint64_t now_ns, bool late) {
    flows_.collect(dataplane_.maps());
    flows_.begin_lags();
    for (auto &port : ports_) {
        port.inputs.clear();
        port.refused = false;
    }
    for (uint32_t id : flows_.classes())
        if (const ClassPlace place = place_of_[id]; place.port < ports_.size())
            gather_class(ports_[place.port], place.index, now_ns, late);
}

Demand Loop::demand_of(const PortRuntime &port) const {
    Demand demand{0, 0, port.refused};
    for (const auto &in : port.inputs) {
        const PhantomClass &phantom = port.phantoms[in.index];
        demand.backlog_bytes += phantom.backlog_bytes;
        if (!phantom.under_ceiling)
            demand.held_up_bytes += phantom.backlog_bytes;
    }
    return demand;
}

void Loop::tick_port(PortRuntime &port, uint64_t now_ns, double dt_s) {
    if (dt_s > kLateTick_s) {
        port.capacity.last = {}; // what drained meanwhile is no measurement
        dt_s = 0;
    }
    RingObservation ring = observe_rings(port.port);
    observe_slow_path(port, ring, now_ns, dt_s);
    capacity_step(port.capacity, port.config, ring, demand_of(port), dt_s);
    phantom_step(port.tree, port.phantoms, port.inputs,
                 {granted(port.capacity), dt_s, static_cast<double>(port.capacity.last.waiting_bytes),
                  port.capacity.caught_up});
    for (const auto &in : port.inputs) {
        publish(port, in.index, now_ns);
        if (flows_.forget_idle(dataplane_.maps(), port.classes[in.index].id, port.phantoms[in.index].vt) == 0)
            put_to_rest(port, in.index, now_ns);
    }
    refresh_idle(port, now_ns);
    publish_guard(port);
    pace_spill(port, now_ns);
}

void Loop::put_to_rest(PortRuntime &port, uint32_t index, uint64_t now_ns) {
    PhantomClass &phantom = port.phantoms[index];
    port.classes[index].active = false;
    phantom_rest(phantom);
    phantom.service_bytes_per_s = port.tree.would_get(phantom.node);
    publish(port, index, now_ns);
}

// An idle class is judged by the share that it was last promised, until the next tick sees it.
void Loop::refresh_idle(PortRuntime &port, uint64_t now_ns) {
    const auto count = static_cast<uint32_t>(port.classes.size());
    for (uint32_t i = 0; i < std::min(kIdlePerTick, count); i++) {
        const uint32_t index = port.next_idle = (port.next_idle + 1) % count;
        if (port.classes[index].active)
            continue;
        PhantomClass &phantom = port.phantoms[index];
        phantom.vt = ingress_vt(port.classes[index], now_ns);
        phantom.service_bytes_per_s = port.tree.would_get(phantom.node);
        publish(port, index, now_ns);
    }
}

namespace {

// Hosts where the class isolates hosts, else flows. One sparse flow is often caught.
uint32_t sharers(const PhantomClass &phantom) {
    const auto n = static_cast<uint32_t>(std::lround(phantom.active_shares));
    return n - (n > 1);
}

// What the class has waiting would take so long to serve that the ring's guard is next, which is blind to
// classes. Flows within their limits cannot get there: there are too many of them.
bool is_crowded(const PhantomClass &phantom, double guard_s) {
    return phantom.active_flows > kManyFlows &&
           phantom.backlog_bytes > guard_s / 2 * phantom.service_bytes_per_s;
}

} // namespace

void Loop::publish(PortRuntime &port, uint32_t index, uint64_t now_ns) {
    ClassRuntime &c = port.classes[index];
    const PhantomClass &phantom = port.phantoms[index];
    const double rate =
        std::max(phantom.service_bytes_per_s / std::max(1.0, phantom.active_shares), kSmallestRate);
    const double ring_s = ring_bytes(port.capacity, port.config) / granted(port.capacity);
    // Where the ring is empty nobody waits for anybody's burst: a few frames of each flow, not of the port.
    const double frame_s = port.config.mtu_bytes / (port.capacity.ring_idle ? rate : granted(port.capacity));
    c.aqm = resolve_aqm(config_of(c).aqm, frame_s, ring_s, sharers(phantom));

    sluice_class &shared = dataplane_.maps().classes[c.id];
    const uint32_t next = 1 - (shared.current & 1);
    sluice_share &s = shared.share[next];
    const double frame = port.config.mtu_bytes;
    const auto bytes = [&](double seconds) { return static_cast<uint64_t>(std::max(seconds * rate, frame)); };
    s.vt0 = phantom.vt;
    s.t0_ns = now_ns;
    s.bytes_per_ns = static_cast<uint64_t>(rate * 1e-9 * 4294967296.0);
    s.ns_per_byte = static_cast<uint64_t>(1e9 / rate * 1048576.0);
    s.target_bytes = bytes(c.aqm.target_s);
    s.step_bytes = bytes(c.aqm.step_s);
    s.short_limit_bytes = bytes(c.aqm.short_limit_s);
    s.limit_bytes = bytes(c.aqm.limit_s);
    shared.ect_limit_bytes = bytes(c.aqm.ect_limit_s);
    publish_law(c);
    __atomic_store_n(&shared.crowded, is_crowded(phantom, guard_limit_s(port)), __ATOMIC_RELAXED);
    __atomic_store_n(&shared.current, next, __ATOMIC_RELEASE);
}

void Loop::publish_law(const ClassRuntime &c) {
    sluice_class &shared = dataplane_.maps().classes[c.id];
    if (config_of(c).aqm.law == Law::codel) {
        shared.codel = {to_ns(c.aqm.target_s), to_ns(c.aqm.interval_s)};
        return;
    }
    const Pi2Gains gains = pi2_gains(c.aqm);
    shared.pi2 = {to_ns(c.aqm.target_s), to_ns(gains.update_s), static_cast<uint32_t>(gains.alpha * 65536),
                  static_cast<uint32_t>(gains.beta * 65536)};
}

double Loop::guard_limit_s(const PortRuntime &port) {
    const double link = port.capacity.link_bytes_per_s;
    const double frame_s = port.config.mtu_bytes / (link > 0 ? link : granted(port.capacity));
    const double ring_s = ring_bytes(port.capacity, port.config) / (link > 0 ? link : granted(port.capacity));
    const double bulk_s = std::max(kGuardLimit_s, kGuardFrames * frame_s);
    return ring_s > 0 ? std::min(bulk_s, ring_s * 0.9) : bulk_s;
}

// The guard stands well above what the phantom scheduler lets happen: it is for the time when that fails.
// Until the link has been measured, whose rate is not that of the policy, it is what the dataplane set.
void Loop::publish_guard(PortRuntime &port) {
    sluice_port &shared = dataplane_.maps().ports[port.port];
    if (port.capacity.link_bytes_per_s <= 0)
        return;
    const double limit_s = guard_limit_s(port);
    shared.guard = {to_ns(limit_s / 4), 100'000'000};
    shared.guard_limit_ns = to_ns(limit_s);
    shared.ns_per_byte = static_cast<uint64_t>(1e9 / port.capacity.link_bytes_per_s * 1048576.0);
}

} // namespace sluice
