#include "trace.hpp"

#include "ns3/simulator.h"

#include "ring_disc.hpp"

namespace sluice::sim {
namespace {

constexpr double kPeriod_s = 0.001;

const PortState &slow_port(const Snapshot &s) {
    for (const auto &port : s.ports)
        if (!port.classes.empty())
            return port;
    return s.ports.back();
}

} // namespace

LoopTrace::LoopTrace(const Network &network) : network_(network) {
    if (network.cell.trace.empty() || !ns3::DynamicCast<RingDisc>(network.disc))
        return;
    file_.open(network.cell.trace);
    file_
        << "time_s,ring,capacity_mbps,drain_mbps,headroom,ring_target_us,service_mbps,backlog_frames,active,"
           "delay_us,target_us,limit_us\n";
    ns3::Simulator::Schedule(ns3::Seconds(kPeriod_s), &LoopTrace::sample, this);
}

void LoopTrace::sample() {
    const auto ring = ns3::DynamicCast<RingDisc>(network_.disc);
    const Snapshot snapshot = ring->port().snapshot();
    const PortState &p = slow_port(snapshot);
    const ClassState &c = p.classes.front();
    file_ << ns3::Simulator::Now().GetSeconds() << ',' << ring->port().waiting() << ','
          << double(p.capacity_bytes_per_s) * 8e-6 << ',' << double(p.drain_bytes_per_s) * 8e-6 << ','
          << p.headroom << ',' << double(p.ring_target_ns) * 1e-3 << ','
          << double(c.service_bytes_per_s) * 8e-6 << ',' << double(c.backlog_bytes) / kMtu << ','
          << c.active_flows << ',' << double(c.delay_ns) * 1e-3 << ',' << double(c.target_ns) * 1e-3 << ','
          << double(c.limit_ns) * 1e-3 << '\n';
    ns3::Simulator::Schedule(ns3::Seconds(kPeriod_s), &LoopTrace::sample, this);
}

nlohmann::json LoopTrace::last() const {
    const auto ring = ns3::DynamicCast<RingDisc>(network_.disc);
    if (!ring)
        return nullptr;
    const Snapshot snapshot = ring->port().snapshot();
    const PortState &p = slow_port(snapshot);
    const ClassState &c = p.classes.front();
    nlohmann::json outcomes;
    for (const auto &count : c.outcomes)
        outcomes[count.name] = count.packets;
    return {{"capacity_mbps", double(p.capacity_bytes_per_s) * 8e-6},
            {"headroom", p.headroom},
            {"ring_target_us", double(p.ring_target_ns) * 1e-3},
            {"target_us", double(c.target_ns) * 1e-3},
            {"limit_us", double(c.limit_ns) * 1e-3},
            {"interval_us", double(c.interval_ns) * 1e-3},
            {"period_us", double(ring->port().period_ns()) * 1e-3},
            {"active_flows", c.active_flows},
            {"outcomes", outcomes}};
}

} // namespace sluice::sim
