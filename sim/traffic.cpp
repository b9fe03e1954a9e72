#include "traffic.hpp"

#include "ns3/inet-socket-address.h"
#include "ns3/random-variable-stream.h"
#include "ns3/simulator.h"
#include "ns3/socket.h"
#include "ns3/tcp-socket-factory.h"
#include "ns3/uinteger.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "tcp_transfer.hpp"
#include "udp_stream.hpp"

namespace sluice::sim {
namespace {

using namespace ns3;

constexpr uint32_t kProbeBytes = 144; // + 28 of UDP and IP: a voice frame
constexpr uint32_t kFloodBytes = 1400;
constexpr double kTailShape = 1.2, kSmallest = 4e3, kLargest = 20e6; // of short flows, bytes: bounded Pareto

double mean_size() {
    const double a = kTailShape, l = kSmallest, h = kLargest;
    return std::pow(l, a) / (1 - std::pow(l / h, a)) * a / (a - 1) *
           (std::pow(l, 1 - a) - std::pow(h, 1 - a));
}

uint64_t draw_size(double u) {
    const double a = kTailShape, l = kSmallest, h = kLargest;
    return static_cast<uint64_t>(l * std::pow(1 - u * (1 - std::pow(l / h, a)), -1 / a));
}

std::vector<Transfer> plan(const Cell &cell, Ptr<UniformRandomVariable> random) {
    std::vector<Transfer> out;
    const double end_s = cell.warmup_s + cell.duration_s;
    for (uint32_t i = 0; i < cell.flows; i++)
        out.push_back({Kind::bulk, i % cell.hosts, 0, random->GetValue(0, cell.warmup_s * 0.1)});
    if (cell.web_load > 0) {
        const double per_s = cell.web_load * cell.slow_bps / 8 / mean_size();
        // The last fifth starts nothing new: what began shall be able to end.
        for (double t = cell.warmup_s; t < cell.warmup_s + 0.8 * cell.duration_s;
             t -= std::log(1 - random->GetValue(0, 1)) / per_s)
            out.push_back(
                {Kind::web, random->GetInteger(0, cell.hosts - 1), draw_size(random->GetValue(0, 1)), t});
    }
    uint32_t round = 0;
    for (double t = cell.warmup_s; cell.incast && t + cell.incast_period_s <= end_s;
         t += cell.incast_period_s, round++)
        for (uint32_t i = 0; i < cell.incast; i++)
            out.push_back(
                {Kind::incast, i % cell.hosts, cell.incast_bytes, t + random->GetValue(0, 1e-5), round});
    return out;
}

} // namespace

class Traffic::State {
  public:
    explicit State(const Network &n)
        : network(n), random(CreateObject<UniformRandomVariable>()), transfers(plan(n.cell, random)) {}

    const Network &network;
    Ptr<UniformRandomVariable> random;
    std::vector<Transfer> transfers;
    std::unique_ptr<TcpSink> sink;
    std::vector<std::unique_ptr<TcpTransfer>> senders;
    std::unique_ptr<UdpStream> probe, flood;
};

Traffic::Traffic(const Network &network) : state_(std::make_unique<State>(network)) {}
Traffic::~Traffic() = default;

void Traffic::start() {
    State &s = *state_;
    const Cell &cell = s.network.cell;
    s.sink = std::make_unique<TcpSink>(s.network.sink, s.transfers);
    for (uint32_t i = 0; i < s.transfers.size(); i++) {
        const Transfer &t = s.transfers[i];
        s.senders.push_back(std::make_unique<TcpTransfer>(s.network.hosts.Get(t.host), s.network.sink_address,
                                                          TcpSink::source_port(i), t.bytes));
        Simulator::Schedule(Seconds(t.start_s), &TcpTransfer::start, s.senders.back().get());
    }
    Simulator::Schedule(Seconds(cell.warmup_s), [&s] {
        for (auto &t : s.transfers)
            t.received_at_warmup = t.received;
    });
    if (cell.probe_interval_s > 0) {
        s.probe = std::make_unique<UdpStream>(
            s.network.probe_host(), s.network.sink, s.network.sink_address,
            UdpStream::Options{.port = 9,
                               .bytes = kProbeBytes,
                               .interval_s = cell.probe_interval_s,
                               .random = true,
                               .warmup_s = cell.warmup_s,
                               .base_s = s.network.probe_base_s(kProbeBytes + 28)});
        s.probe->start();
    }
    if (cell.flood > 0) {
        s.flood = std::make_unique<UdpStream>(
            s.network.flood_host(), s.network.sink, s.network.sink_address,
            UdpStream::Options{.port = 10,
                               .bytes = kFloodBytes,
                               .interval_s = (kFloodBytes + 30) * 8 / (cell.flood * cell.slow_bps),
                               .random = false,
                               .warmup_s = cell.warmup_s,
                               .base_s = 0});
        s.flood->start();
    }
}

const std::vector<Transfer> &Traffic::transfers() const {
    return state_->transfers;
}
std::vector<float> &Traffic::probe_delays() {
    static std::vector<float> none;
    return state_->probe ? state_->probe->delays : none;
}
uint64_t Traffic::probes_sent() const {
    return state_->probe ? state_->probe->sent : 0;
}
uint64_t Traffic::probes_lost() const {
    return state_->probe ? state_->probe->lost() : 0;
}
uint64_t Traffic::flood_received() const {
    return state_->flood ? state_->flood->received * kFloodBytes : 0;
}

} // namespace sluice::sim
