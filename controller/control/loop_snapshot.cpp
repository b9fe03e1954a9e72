// The reading side of Loop: counters and state as a Snapshot.
#include "control/loop.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "control/ledger.hpp"
#include "control/names.hpp"
#include "core/clock.hpp"

namespace sluice {
namespace {

uint64_t to_ns(double seconds) {
    return static_cast<uint64_t>(std::llround(seconds * 1e9));
}

RingState ring_state(const sluice_ring &ring, uint32_t index) {
    const sluice_reading &r = ring.tick.time_ns > ring.hook.time_ns ? ring.tick : ring.hook;
    return {index, r.size, r.occupancy, r.sojourn_ns, r.waiting_bytes, r.drained_bytes};
}

} // namespace

Loop::ClassTotals Loop::totals(const ClassRuntime &c) const {
    const Maps &maps = dataplane_.maps();
    ClassTotals sum;
    for (uint32_t row = 0; row < maps.count_rows(); row++) {
        const sluice_class_count &count = maps.class_count(c.id, row);
        sum.admitted_bytes += count.admitted_bytes;
        sum.taken_over += count.taken_over;
        for (unsigned i = 0; i < SLUICE_CLASS_OUTCOMES; i++)
            sum.outcomes[i] += count.outcome[i];
        for (unsigned i = 0; i < SLUICE_WOULDS; i++)
            sum.would[i] += count.would[i];
    }
    for (const size_t row : {size_t{c.id}, maps.earlier_delays(c.id)}) {
        for (unsigned i = 0; i < SLUICE_DELAY_BUCKETS; i++)
            sum.delays[i] += maps.delays[row].bucket[i];
        sum.delay_sum_ns += maps.delays[row].sum_ns;
    }
    return sum;
}

void Loop::ClassTotals::add(const ClassTotals &other) {
    admitted_bytes += other.admitted_bytes;
    taken_over += other.taken_over;
    for (unsigned i = 0; i < SLUICE_CLASS_OUTCOMES; i++)
        outcomes[i] += other.outcomes[i];
    for (unsigned i = 0; i < SLUICE_WOULDS; i++)
        would[i] += other.would[i];
    for (unsigned i = 0; i < SLUICE_DELAY_BUCKETS; i++)
        delays[i] += other.delays[i];
    delay_sum_ns += other.delay_sum_ns;
}

// Frames that joined the queue, whole or trimmed.
uint64_t Loop::ClassTotals::admitted_frames() const {
    return outcomes[SLUICE_FORWARD] + outcomes[SLUICE_MARK] + outcomes[SLUICE_TRIM] + taken_over;
}

// One class; of all tenants, where there are tenants. `first` is its row of the first tenant.
ClassState Loop::class_state(const PortRuntime &port, uint32_t first, const ClassTotals &sum) const {
    const ClassRuntime &c = port.classes[first];
    ClassState state;
    state.transition = policy_.source.transitions[c.transition].to;
    state.name = config_of(c).name;
    state.mode = policy_.source.transitions[c.transition].mode == Mode::shadow ? "shadow" : "enforce";
    state.admitted_packets = sum.admitted_frames();
    state.taken_over_packets = sum.taken_over;
    state.admitted_bytes = sum.admitted_bytes;
    state.delays = {{sum.delays.begin(), sum.delays.end()}, sum.delay_sum_ns};
    state.target_ns = to_ns(c.aqm.target_s);
    state.interval_ns = to_ns(c.aqm.interval_s);
    state.limit_ns = to_ns(c.aqm.limit_s);
    for (unsigned i = 0; i < SLUICE_CLASS_OUTCOMES; i++)
        state.outcomes.push_back({std::string(outcome_name(i)), sum.outcomes[i]});
    for (unsigned i = 0; i < SLUICE_WOULDS; i++)
        state.outcomes.push_back({std::string(would_name(i)), sum.would[i]});
    return state;
}

namespace {

void add_phantom(ClassState &state, const PhantomClass &phantom) {
    state.service_bytes_per_s += static_cast<uint64_t>(phantom.service_bytes_per_s);
    state.backlog_bytes += static_cast<uint64_t>(phantom.backlog_bytes);
    state.active_flows += phantom.active_flows;
    if (phantom.active_flows && phantom.service_bytes_per_s > 0)
        state.delay_ns = std::max(state.delay_ns, to_ns(phantom.backlog_bytes / phantom.service_bytes_per_s));
}

} // namespace

void Loop::fill_classes(PortState &state, const PortRuntime &port) const {
    std::map<std::pair<uint32_t, uint32_t>, std::pair<uint32_t, ClassTotals>> sums; // by transition and class
    std::vector<ClassTotals> totals_of(port.classes.size());
    for (uint32_t i = 0; i < port.classes.size(); i++) {
        const ClassRuntime &c = port.classes[i];
        totals_of[i] = totals(c);
        const auto [sum, is_new] = sums.try_emplace({c.transition, c.index}, i, ClassTotals{});
        sum->second.second.add(totals_of[i]);
    }
    std::map<std::pair<uint32_t, uint32_t>, size_t> row;
    for (const auto &[key, sum] : sums) {
        row[key] = state.classes.size();
        state.classes.push_back(class_state(port, sum.first, sum.second));
    }
    std::map<std::pair<uint32_t, uint32_t>, size_t> tenant_row;
    for (uint32_t i = 0; i < port.classes.size(); i++) {
        const ClassRuntime &c = port.classes[i];
        const PhantomClass &phantom = port.phantoms[i];
        add_phantom(state.classes[row[{c.transition, c.index}]], phantom);
        if (!policy_.source.transitions[c.transition].tenants)
            continue;
        const auto [at, is_new] = tenant_row.try_emplace({c.transition, c.tenant}, state.tenants.size());
        if (is_new) {
            state.tenants.emplace_back();
            state.tenants.back().transition = policy_.source.transitions[c.transition].to;
            state.tenants.back().name = tenant_name(policy_, c);
        }
        add_tenant(state.tenants[at->second], phantom, totals_of[i]);
    }
}

void Loop::add_tenant(TenantState &tenant, const PhantomClass &phantom, const ClassTotals &sum) {
    tenant.admitted_packets += sum.admitted_frames();
    tenant.admitted_bytes += sum.admitted_bytes;
    tenant.marked_packets += sum.outcomes[SLUICE_MARK];
    for (unsigned i = SLUICE_DROP_CODEL; i <= SLUICE_DROP_RING; i++)
        tenant.dropped_packets += sum.outcomes[i];
    tenant.backlog_bytes += static_cast<uint64_t>(phantom.backlog_bytes);
    tenant.active_flows += phantom.active_flows;
    if (phantom.active_flows)
        tenant.service_bytes_per_s += static_cast<uint64_t>(phantom.service_bytes_per_s);
}

namespace {

DelayHistogram sojourn_of(const Maps &maps, uint32_t port) {
    DelayHistogram sum{std::vector<uint64_t>(SLUICE_DELAY_BUCKETS), 0};
    for (uint32_t row = 0; row < maps.count_rows(); row++) {
        const sluice_tx &tx = maps.tx_of(port, row);
        for (unsigned i = 0; i < SLUICE_DELAY_BUCKETS; i++)
            sum.frames[i] += tx.sojourn[i];
        sum.sum_ns += tx.sojourn_ns;
    }
    return sum;
}

} // namespace

void Loop::fill_egress(PortState &state, const PortRuntime &port) const {
    if (dataplane_.ports()[port.port].reader != SLUICE_READER_NONE)
        state.sojourn = sojourn_of(dataplane_.maps(), port.port);
    state.capacity_bytes_per_s = static_cast<uint64_t>(port.capacity.capacity_bytes_per_s);
    state.drain_bytes_per_s = static_cast<uint64_t>(port.capacity.drain_bytes_per_s);
    state.headroom = port.capacity.headroom;
    state.ring_target_ns = to_ns(port.capacity.ring_target_s);
    fill_classes(state, port);
    fill_flows(state, port, monotonic_ns());
}

PortState Loop::port_state(uint32_t index) const {
    const Maps &maps = dataplane_.maps();
    const PortFacts &facts = dataplane_.ports()[index];
    // Fresh readings: the last tick may be a sleep ago. Where it fails, the last ones stand, with their time.
    (void)dataplane_.sample(index);
    PortState state;
    state.name = policy_.port(index).name;
    state.device = facts.dev.name;
    state.ifindex = facts.dev.ifindex;
    state.up = facts.dev.up;
    state.driver = facts.dev.driver;
    state.ring_reader = reader_name(facts.reader);
    state.ring_trust = trust_name(facts.trust);
    state.xdp_mode = facts.xdp_mode;
    state.hook = dataplane_.hook() == Hook::devmap ? "devmap" : "tracepoint";
    state.degraded = facts.degraded;
    state.policy_rate_bytes_per_s = policy_.port(index).rate_bytes_per_s;
    std::array<uint64_t, SLUICE_OUTCOMES> pass{};
    std::array<uint64_t, SLUICE_KDROPS> drops{};
    for (uint32_t row = 0; row < maps.count_rows(); row++) {
        const sluice_port_count &in = maps.port_count(index, row);
        const sluice_tx &tx = maps.tx_of(index, row);
        state.received_packets += in.received_packets;
        state.received_bytes += in.received_bytes;
        state.sent_packets += tx.sent_packets;
        state.sent_bytes += tx.sent_bytes;
        for (unsigned i = SLUICE_CLASS_OUTCOMES; i < SLUICE_OUTCOMES; i++)
            pass[i] += in.outcome[i];
        for (unsigned i = 0; i < SLUICE_KDROPS; i++)
            drops[i] += tx.drops[i];
    }
    for (uint32_t ring = 0; ring < maps.cpus; ring++)
        if (maps.ring(index, ring).produced)
            state.rings.push_back(ring_state(maps.ring(index, ring), ring));
    for (unsigned i = SLUICE_CLASS_OUTCOMES; i < SLUICE_OUTCOMES; i++)
        state.passed.push_back({std::string(outcome_name(i)), pass[i]});
    for (unsigned i = 0; i < SLUICE_KDROPS; i++)
        state.kernel_drops.push_back({std::string(kernel_drop_name(i)), drops[i]});
    fill_slow_path(state, index);
    fill_pause(state, index);
    for (const auto &port : ports_)
        if (port.port == index)
            fill_egress(state, port);
    state.ledger = read_ledger(maps, index);
    return state;
}

Snapshot Loop::snapshot() const {
    std::lock_guard lock(mutex_);
    Snapshot s;
    s.time_ns = monotonic_ns();
    s.version = SLUICE_VERSION;
    s.policy_file = policy_.source.file;
    s.policy_sha256 = policy_.source.sha256;
    s.ticks = ticks_;
    s.asleep = asleep_;
    // The heartbeat is monotonic; readers of metrics compare with the wall clock.
    const uint64_t beat = dataplane_.maps().control[0].heartbeat_ns;
    s.heartbeat_unix_s =
        unix_seconds() - static_cast<double>(static_cast<int64_t>(monotonic_ns() - beat)) * 1e-9;
    for (uint32_t p = 0; p < policy_.source.ports.size(); p++)
        s.ports.push_back(port_state(p));
    // Programs of others redirect frames that no port of ours received.
    const auto &transitions = policy_.source.transitions;
    if (std::none_of(transitions.begin(), transitions.end(),
                     [](const Transition &t) { return t.forward == Forward::library; }))
        s.unexplained_redirects =
            unexplained_redirects(dataplane_.maps(), static_cast<uint32_t>(s.ports.size()));
    s.health = "ok";
    for (const auto &port : s.ports)
        if (!port.degraded.empty())
            s.health = "degraded: " + port.name + ": " + port.degraded;
    return s;
}

} // namespace sluice
