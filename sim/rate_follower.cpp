#include "rate_follower.hpp"

#include "ns3/data-rate.h"
#include "ns3/node.h"
#include "ns3/point-to-point-net-device.h"
#include "ns3/simulator.h"

#include <cmath>

#include "ring_disc.hpp"

namespace sluice::sim {
namespace {

constexpr double kPeriod_s = 0.002, kOff = 0.1;

} // namespace

RateFollower::RateFollower(const Network &network) : network_(network) {
    for (const auto &text : network.cell.rates) {
        const auto [at_s, bps] = two_numbers(text);
        changes_.push_back({at_s, bps, at_s});
        ns3::Simulator::Schedule(ns3::Seconds(at_s), &RateFollower::set_rate, this, bps);
    }
    if (!changes_.empty() && ns3::DynamicCast<RingDisc>(network.disc))
        ns3::Simulator::Schedule(ns3::Seconds(kPeriod_s), &RateFollower::sample, this);
}

void RateFollower::set_rate(double bps) {
    current_++;
    network_.slow_device->SetDataRate(ns3::DataRate(static_cast<uint64_t>(bps)));
}

void RateFollower::sample() {
    if (current_ > 0) {
        const auto ring = ns3::DynamicCast<RingDisc>(network_.disc);
        Change &change = changes_[current_ - 1];
        if (std::abs(ring->port().capacity_bps() / change.bps - 1) > kOff)
            change.outside_s = ns3::Simulator::Now().GetSeconds() + kPeriod_s;
    }
    ns3::Simulator::Schedule(ns3::Seconds(kPeriod_s), &RateFollower::sample, this);
}

std::vector<double> RateFollower::settled_s() const {
    std::vector<double> out;
    for (size_t i = 0; i < current_; i++) {
        const double end_s =
            i + 1 < current_ ? changes_[i + 1].at_s : network_.cell.warmup_s + network_.cell.duration_s;
        const double took = changes_[i].outside_s - changes_[i].at_s;
        out.push_back(changes_[i].outside_s >= end_s - kPeriod_s ? -1 : took);
    }
    return out;
}

} // namespace sluice::sim
