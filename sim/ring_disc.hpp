// ns3::QueueDisc that is what XDP_REDIRECT meets: a FIFO ring of N frames, with sluice's admission in front
// of it.
#pragma once

#include <memory>

#include "ns3/queue-disc.h"

#include "slow_port.hpp"

namespace sluice::sim {

class RingDisc : public ns3::QueueDisc {
  public:
    static ns3::TypeId GetTypeId();
    RingDisc();
    ~RingDisc() override;

    void configure(const PortConfig &config);
    const SlowPort &port() const { return *port_; }
    uint64_t ticks() const { return ticks_; }

    static constexpr const char *kRingFull = "ring full";

  private:
    bool DoEnqueue(ns3::Ptr<ns3::QueueDiscItem> item) override;
    ns3::Ptr<ns3::QueueDiscItem> DoDequeue() override;
    bool CheckConfig() override;
    void InitializeParams() override;
    void tick();

    std::unique_ptr<SlowPort> port_;
    std::vector<std::pair<double, double>> stalls_;
    uint64_t ticks_ = 0;
};

// Frames on an ns-3 point-to-point link carry a PPP header of two bytes.
constexpr uint32_t kLinkHeader = 2;

} // namespace sluice::sim
