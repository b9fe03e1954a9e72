// Hosts -> (fast link each) -> router -> (slow link, under the discipline) -> sink. One direction is
// measured; acknowledgements return over links of the same speeds without a discipline.
#pragma once

#include "ns3/ipv4-address.h"
#include "ns3/net-device-container.h"
#include "ns3/node-container.h"
#include "ns3/point-to-point-net-device.h"
#include "ns3/queue-disc.h"

#include "cell.hpp"

namespace sluice::sim {

struct Network {
    ns3::NodeContainer hosts;      // cell.hosts that send TCP, then one for probes, then one for the flood
    std::vector<double> one_way_s; // propagation from each host to the sink
    ns3::Ptr<ns3::Node> sink;
    ns3::Ipv4Address sink_address;
    ns3::Ptr<ns3::QueueDisc> disc;
    ns3::Ptr<ns3::PointToPointNetDevice> slow_device;

    ns3::Ptr<ns3::Node> probe_host() const { return hosts.Get(hosts.GetN() - 2); }
    ns3::Ptr<ns3::Node> flood_host() const { return hosts.Get(hosts.GetN() - 1); }
    // Time from the first bit at the probe host to the last bit at the sink, all queues empty.
    double probe_base_s(uint32_t ip_bytes) const;

    Cell cell;
};

Network build_network(const Cell &cell);

// The discipline itself, not yet on a device. Throws std::runtime_error for an unknown name.
ns3::Ptr<ns3::QueueDisc> make_disc(const Cell &cell);

constexpr uint32_t kMtu = 1500;

} // namespace sluice::sim
