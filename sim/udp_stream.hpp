// UDP at a given interval: the sparse probe (Poisson) and the flood (constant). The sink counts, and measures
// how long each datagram waited in queues.
#pragma once

#include "ns3/ipv4-address.h"
#include "ns3/node.h"
#include "ns3/random-variable-stream.h"
#include "ns3/socket.h"

#include <vector>

namespace sluice::sim {

class UdpStream {
  public:
    struct Options {
        uint16_t port;
        uint32_t bytes; // of payload, at least 16
        double interval_s;
        bool random;     // exponential intervals
        double warmup_s; // nothing counts before
        double base_s;   // time on the way when all queues are empty; 0 = delays are not kept
    };
    UdpStream(ns3::Ptr<ns3::Node> from, ns3::Ptr<ns3::Node> to, ns3::Ipv4Address address, Options options);
    void start() { send(); }

    uint64_t sent = 0, received = 0;
    std::vector<float> delays;
    // Sent before one that arrived, and did not: the disciplines do not reorder a flow.
    uint64_t lost() const { return received ? highest_ - first_ + 1 - received : sent; }

  private:
    void send();
    void receive(ns3::Ptr<ns3::Socket> socket);

    Options options_;
    uint32_t next_ = 0, first_ = 0, highest_ = 0; // sequence numbers: of the next; first and last that count
    ns3::Ptr<ns3::Socket> source_, sink_;
    ns3::Ptr<ns3::ExponentialRandomVariable> random_;
};

} // namespace sluice::sim
