#include "tcp_transfer.hpp"

#include "ns3/inet-socket-address.h"
#include "ns3/simulator.h"
#include "ns3/tcp-socket-factory.h"

#include <algorithm>

#include "traffic.hpp"

namespace sluice::sim {
namespace {

using namespace ns3;

constexpr uint16_t kSinkPort = 80;
constexpr uint32_t kChunk = 1448 * 44;

} // namespace

void TcpTransfer::start() {
    socket_ = Socket::CreateSocket(host_, TcpSocketFactory::GetTypeId());
    socket_->Bind(InetSocketAddress(Ipv4Address::GetAny(), source_port_));
    socket_->SetConnectCallback(MakeCallback(&TcpTransfer::connected, this),
                                MakeNullCallback<void, Ptr<Socket>>());
    socket_->SetSendCallback(MakeCallback(&TcpTransfer::fill, this));
    socket_->Connect(InetSocketAddress(sink_, kSinkPort));
}

void TcpTransfer::connected(Ptr<Socket> socket) {
    fill(socket, socket->GetTxAvailable());
}

void TcpTransfer::fill(Ptr<Socket> socket, uint32_t) {
    while (endless_ || left_ > 0) {
        uint32_t n = std::min(kChunk, socket->GetTxAvailable());
        if (!endless_)
            n = static_cast<uint32_t>(std::min<uint64_t>(n, left_));
        else if (n < kChunk)
            return; // whole chunks keep the number of buffers low
        if (n == 0 || socket->Send(Create<Packet>(n)) < 0)
            return;
        if (!endless_)
            left_ -= n;
    }
    socket->SetSendCallback(MakeNullCallback<void, Ptr<Socket>, uint32_t>());
    socket->Close();
}

TcpSink::TcpSink(Ptr<Node> node, std::vector<Transfer> &transfers) : transfers_(transfers) {
    listener_ = Socket::CreateSocket(node, TcpSocketFactory::GetTypeId());
    listener_->Bind(InetSocketAddress(Ipv4Address::GetAny(), kSinkPort));
    listener_->Listen();
    listener_->SetAcceptCallback(MakeNullCallback<bool, Ptr<Socket>, const Address &>(),
                                 MakeCallback(&TcpSink::accepted, this));
}

void TcpSink::accepted(Ptr<Socket> socket, const Address &from) {
    const size_t transfer = InetSocketAddress::ConvertFrom(from).GetPort() - source_port(0);
    socket->SetRecvCallback(MakeCallback(&TcpSink::received, this).Bind(transfer));
    socket->SetCloseCallbacks(Callback<void, Ptr<Socket>>([](Ptr<Socket> s) { s->Close(); }),
                              MakeNullCallback<void, Ptr<Socket>>());
}

void TcpSink::received(size_t transfer, Ptr<Socket> socket) {
    Transfer &t = transfers_[transfer];
    while (const Ptr<Packet> packet = socket->Recv()) {
        if (packet->GetSize() == 0)
            break;
        t.received += packet->GetSize();
    }
    if (t.bytes && t.received >= t.bytes && t.end_s == 0)
        t.end_s = Simulator::Now().GetSeconds();
}

} // namespace sluice::sim
