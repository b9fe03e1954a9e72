// The slow path beside the fast one: what the kernel's frames take of the TX ring, and what the qdisc of the
// spilled flows may send.
#include "control/loop.hpp"

#include <algorithm>

namespace sluice {
namespace {

constexpr uint64_t kRecent_ns = 50'000'000; // the kernel's frames may still be in the ring
constexpr double kSmoothing_s = 0.02;
// The bucket stays below what the link does: what it lets through must not wait in the ring, and never meet a
// full one.
constexpr double kOfCapacity = 0.98, kRingTooFull = 0.5, kHoldBack = 0.8;
constexpr double kSmallestShare = 1.0 / 16; // of the port, so that a forgotten backlog ends

} // namespace

// Frames of the kernel carry no stamp, so bytes of ours alone would make the ring look shorter than it is.
void Loop::observe_slow_path(PortRuntime &port, RingObservation &ring, uint64_t now_ns, double dt_s) {
    if (!dataplane_.spill(port.port))
        return;
    const Maps &maps = dataplane_.maps();
    SlowFlow &slow = port.slow;
    uint64_t packets = 0, bytes = 0, sent = 0;
    for (uint32_t row = 0; row < maps.count_rows(); row++) {
        const sluice_tx &tx = maps.tx_of(port.port, row);
        packets += tx.slow_packets;
        bytes += tx.slow_bytes;
        sent += tx.sent_bytes;
    }
    const double weight = std::min(1.0, dt_s / kSmoothing_s);
    if (packets != slow.packets) {
        const double mean =
            static_cast<double>(bytes - slow.bytes) / static_cast<double>(packets - slow.packets);
        slow.frame_bytes += (slow.frame_bytes > 0 ? weight : 1.0) * (mean - slow.frame_bytes);
        slow.seen_ns = now_ns;
    }
    if (dt_s > 0)
        slow.fast_bytes_per_s +=
            weight * (static_cast<double>(sent - slow.sent_bytes) / dt_s - slow.fast_bytes_per_s);
    slow.packets = packets;
    slow.bytes = bytes;
    slow.sent_bytes = sent;
    const bool waiting = dataplane_.spill(port.port)->state().stats.waiting_packets > 0;
    ring.shared = waiting || (slow.seen_ns && now_ns - slow.seen_ns < kRecent_ns);
    if (ring.shared)
        ring.waiting_bytes =
            std::max(ring.waiting_bytes, static_cast<uint64_t>(ring.occupancy * slow.frame_bytes));
}

// What the spilled flows would get of the port, each its share of its class. Bytes per second.
double Loop::spilled_share(const PortRuntime &port, uint32_t &flows) const {
    double sum = 0;
    for (const auto &in : port.inputs) {
        const PhantomClass &phantom = port.phantoms[in.index];
        const uint32_t spilled = flows_.count_spilled(dataplane_.maps(), port.classes[in.index].id);
        sum += spilled * phantom.service_bytes_per_s / std::max(1.0, phantom.active_shares);
        flows += spilled;
    }
    return sum;
}

// The bucket lets through what is theirs, or what the fast path leaves, if that is more.
void Loop::pace_spill(PortRuntime &port, uint64_t now_ns) {
    SpillPath *spill = dataplane_.spill(port.port);
    const double capacity = port.capacity.capacity_bytes_per_s;
    if (!spill || capacity <= 0)
        return;
    uint32_t flows = 0;
    const double share = spilled_share(port, flows);
    double rate = std::clamp(std::max(share, capacity - port.slow.fast_bytes_per_s),
                             kSmallestShare * capacity, capacity);
    rate *= kOfCapacity;
    if (port.capacity.last.occupancy > kRingTooFull * port.capacity.last.size)
        rate *= kHoldBack;
    const bool waiting = spill->state().stats.waiting_packets > 0;
    if (flows || waiting)
        last_busy_ns_ = now_ns;
    spill->want(static_cast<uint64_t>(rate), flows || waiting);
}

// What the qdisc dropped counts as a loss of the kernel's, like the others after the verdict.
void Loop::fill_slow_path(PortState &state, uint32_t port) const {
    SpillPath *spill = dataplane_.spill(port);
    state.kernel_drops.push_back({"spill_qdisc", spill ? spill->state().drops : 0});
    if (!spill)
        return;
    const SpillPath::State now = spill->state();
    uint64_t packets = 0, bytes = 0;
    for (uint32_t row = 0; row < dataplane_.maps().count_rows(); row++) {
        packets += dataplane_.maps().tx_of(port, row).slow_packets;
        bytes += dataplane_.maps().tx_of(port, row).slow_bytes;
    }
    state.slow_packets = packets;
    state.slow_bytes = bytes;
    state.spill_rate_bytes_per_s = now.bytes_per_s;
    state.spill_waiting_packets = now.stats.waiting_packets;
    if (state.degraded.empty())
        state.degraded = now.trouble;
}

} // namespace sluice
