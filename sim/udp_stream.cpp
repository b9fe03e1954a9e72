#include "udp_stream.hpp"

#include "ns3/double.h"
#include "ns3/inet-socket-address.h"
#include "ns3/seq-ts-header.h"
#include "ns3/simulator.h"
#include "ns3/udp-socket-factory.h"

#include <algorithm>

namespace sluice::sim {

using namespace ns3;

UdpStream::UdpStream(Ptr<Node> from, Ptr<Node> to, Ipv4Address address, Options options) : options_(options) {
    source_ = Socket::CreateSocket(from, UdpSocketFactory::GetTypeId());
    source_->Bind();
    source_->Connect(InetSocketAddress(address, options.port));
    sink_ = Socket::CreateSocket(to, UdpSocketFactory::GetTypeId());
    sink_->Bind(InetSocketAddress(Ipv4Address::GetAny(), options.port));
    sink_->SetRecvCallback(MakeCallback(&UdpStream::receive, this));
    random_ = CreateObject<ExponentialRandomVariable>();
    random_->SetAttribute("Mean", DoubleValue(options.interval_s));
}

void UdpStream::send() {
    SeqTsHeader header; // carries the time of sending
    header.SetSeq(next_++);
    const Ptr<Packet> packet = Create<Packet>(options_.bytes - header.GetSerializedSize());
    packet->AddHeader(header);
    source_->Send(packet);
    if (Simulator::Now().GetSeconds() >= options_.warmup_s && sent++ == 0)
        first_ = next_ - 1;
    Simulator::Schedule(Seconds(options_.random ? random_->GetValue() : options_.interval_s),
                        &UdpStream::send, this);
}

void UdpStream::receive(Ptr<Socket> socket) {
    while (const Ptr<Packet> packet = socket->Recv()) {
        SeqTsHeader header;
        packet->RemoveHeader(header);
        if (header.GetTs().GetSeconds() < options_.warmup_s)
            continue;
        received++;
        highest_ = header.GetSeq();
        const double way_s = (Simulator::Now() - header.GetTs()).GetSeconds();
        if (options_.base_s > 0)
            delays.push_back(static_cast<float>(std::max(0.0, way_s - options_.base_s)));
    }
}

} // namespace sluice::sim
