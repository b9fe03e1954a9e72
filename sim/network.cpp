#include "network.hpp"

#include "ns3/internet-stack-helper.h"
#include "ns3/ipv4-address-helper.h"
#include "ns3/ipv4-static-routing-helper.h"
#include "ns3/ipv4-static-routing.h"
#include "ns3/ipv4.h"
#include "ns3/point-to-point-helper.h"
#include "ns3/point-to-point-net-device.h"
#include "ns3/string.h"
#include "ns3/tcp-l4-protocol.h"
#include "ns3/traffic-control-layer.h"

#include <algorithm>
#include <stdexcept>

#include "ring_disc.hpp"

namespace sluice::sim {
namespace {

using namespace ns3;

constexpr double kSinkDelay_s = 1e-6;
constexpr const char *kUnbounded = "200000p"; // queues of hosts and sink: not what is measured

std::string bps(double rate) {
    return std::to_string(static_cast<uint64_t>(rate)) + "bps";
}

NetDeviceContainer link(Ptr<Node> a, Ptr<Node> b, double rate, double delay_s, const std::string &queue) {
    PointToPointHelper helper;
    helper.SetDeviceAttribute("DataRate", StringValue(bps(rate)));
    helper.SetChannelAttribute("Delay", TimeValue(Seconds(delay_s)));
    helper.SetQueue("ns3::DropTailQueue<Packet>", "MaxSize", StringValue(queue));
    return helper.Install(a, b);
}

Ipv4InterfaceContainer number(Ipv4AddressHelper &addresses, const NetDeviceContainer &devices) {
    const Ipv4InterfaceContainer out = addresses.Assign(devices);
    addresses.NewNetwork();
    return out;
}

// No discipline: frames go straight into the device's own long queue.
void remove_discs(const NetDeviceContainer &devices) {
    for (uint32_t i = 0; i < devices.GetN(); i++) {
        const auto layer = devices.Get(i)->GetNode()->GetObject<TrafficControlLayer>();
        if (layer && layer->GetRootQueueDiscOnDevice(devices.Get(i)))
            layer->DeleteRootQueueDiscOnDevice(devices.Get(i));
    }
}

Ptr<Ipv4StaticRouting> routes(const Ptr<Node> &node) {
    return Ipv4StaticRoutingHelper().GetStaticRouting(node->GetObject<Ipv4>());
}

TypeId congestion_control(const std::string &name) {
    if (name == "cubic")
        return TypeId::LookupByName("ns3::TcpCubic");
    if (name == "reno")
        return TypeId::LookupByName("ns3::TcpLinuxReno");
    if (name == "bbr")
        return TypeId::LookupByName("ns3::TcpBbr");
    if (name == "dctcp")
        return TypeId::LookupByName("ns3::TcpDctcp");
    throw std::runtime_error("unknown congestion control `" + name + "`: cubic, reno, bbr or dctcp");
}

} // namespace

double Network::probe_base_s(uint32_t ip_bytes) const {
    const double bits = 8.0 * (ip_bytes + kLinkHeader);
    return one_way_s[hosts.GetN() - 2] + bits / cell.fast_bps + bits / cell.slow_bps;
}

namespace {

// The slow link with the discipline at the router's end.
void add_slow_link(Network &n, const Ptr<Node> &router, Ipv4AddressHelper &addresses) {
    // A ring of one frame under a real queue is the ideal of byte queue limits: nothing waits twice.
    const auto slow = link(router, n.sink, n.cell.slow_bps, kSinkDelay_s, "1p");
    DynamicCast<PointToPointNetDevice>(slow.Get(1))->GetQueue()->SetMaxSize(QueueSize(kUnbounded));
    n.disc = make_disc(n.cell);
    n.slow_device = DynamicCast<PointToPointNetDevice>(slow.Get(0));
    router->GetObject<TrafficControlLayer>()->SetRootQueueDiscOnDevice(slow.Get(0), n.disc);
    const auto ip = number(addresses, slow);
    n.sink_address = ip.GetAddress(1);
    remove_discs(NetDeviceContainer(slow.Get(1)));
    routes(n.sink)->SetDefaultRoute(ip.GetAddress(0), 1);
}

void add_host(Network &n, uint32_t i, const Ptr<Node> &router, Ipv4AddressHelper &addresses) {
    const Cell &cell = n.cell;
    // A few percent between hosts of one RTT, so that they do not move in step.
    const double spread = cell.hosts > 1 && i < cell.hosts ? 0.95 + 0.1 * i / (cell.hosts - 1) : 1;
    const double rtt_s = cell.rtt_ms[i % cell.rtt_ms.size()] * 1e-3 * spread;
    const double delay_s = std::max(1e-6, rtt_s / 2 - kSinkDelay_s);
    const auto access = link(n.hosts.Get(i), router, cell.fast_bps, delay_s, kUnbounded);
    const auto ip = number(addresses, access);
    remove_discs(access);
    routes(n.hosts.Get(i))->SetDefaultRoute(ip.GetAddress(1), 1);
    n.one_way_s.push_back(delay_s + kSinkDelay_s);
    if (i < cell.hosts)
        n.hosts.Get(i)->GetObject<TcpL4Protocol>()->SetAttribute(
            "SocketType", TypeIdValue(congestion_control(cell.cc[i % cell.cc.size()])));
}

} // namespace

Network build_network(const Cell &cell) {
    Network n;
    n.cell = cell;
    n.hosts.Create(cell.hosts + 2);
    const Ptr<Node> router = CreateObject<Node>();
    n.sink = CreateObject<Node>();
    InternetStackHelper stack;
    const Ipv4StaticRoutingHelper static_routing;
    stack.SetRoutingHelper(static_routing);
    stack.SetIpv6StackInstall(false);
    stack.Install(router);
    stack.Install(n.sink);
    stack.Install(n.hosts);
    Ipv4AddressHelper addresses("10.0.0.0", "255.255.255.0");
    add_slow_link(n, router, addresses);
    for (uint32_t i = 0; i < n.hosts.GetN(); i++)
        add_host(n, i, router, addresses);
    return n;
}

} // namespace sluice::sim
