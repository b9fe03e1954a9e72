// One TCP transfer from a host to the sink, and the sink that all of them end in.
#pragma once

#include "ns3/ipv4-address.h"
#include "ns3/node.h"
#include "ns3/ptr.h"
#include "ns3/socket.h"

#include <vector>

namespace sluice::sim {

struct Transfer;

class TcpTransfer {
  public:
    TcpTransfer(ns3::Ptr<ns3::Node> host, ns3::Ipv4Address sink, uint16_t source_port, uint64_t bytes)
        : host_(std::move(host)), sink_(sink), source_port_(source_port), left_(bytes), endless_(bytes == 0) {
    }
    void start();

  private:
    void fill(ns3::Ptr<ns3::Socket> socket, uint32_t space);
    void connected(ns3::Ptr<ns3::Socket> socket);

    ns3::Ptr<ns3::Node> host_;
    ns3::Ipv4Address sink_;
    uint16_t source_port_;
    uint64_t left_;
    bool endless_;
    ns3::Ptr<ns3::Socket> socket_;
};

class TcpSink {
  public:
    // `transfers` must outlive the sink; the source port of a connection tells which one it is.
    TcpSink(ns3::Ptr<ns3::Node> node, std::vector<Transfer> &transfers);

    static uint16_t source_port(size_t transfer) { return static_cast<uint16_t>(1024 + transfer % 64000); }

  private:
    void accepted(ns3::Ptr<ns3::Socket> socket, const ns3::Address &from);
    void received(size_t transfer, ns3::Ptr<ns3::Socket> socket);

    std::vector<Transfer> &transfers_;
    ns3::Ptr<ns3::Socket> listener_;
};

} // namespace sluice::sim
