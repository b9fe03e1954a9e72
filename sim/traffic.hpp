// What the hosts send: long TCP flows, short ones of heavy-tailed size, incast, sparse probes, a UDP flood.
#pragma once

#include <memory>
#include <vector>

#include "network.hpp"

namespace sluice::sim {

enum class Kind : uint8_t { bulk, web, incast };

struct Transfer {
    Kind kind = Kind::bulk;
    uint32_t host = 0;
    uint64_t bytes = 0; // 0 = until the end
    double start_s = 0;
    uint32_t round = 0; // of incast
    // outcome, filled while the simulation runs
    uint64_t received = 0, received_at_warmup = 0;
    double end_s = 0; // when the last byte arrived; 0 = not yet
};

class Traffic {
  public:
    explicit Traffic(const Network &network);
    ~Traffic();
    void start();

    const std::vector<Transfer> &transfers() const;
    std::vector<float> &probe_delays(); // queueing only, of those that arrived after the warm-up, seconds
    uint64_t probes_sent() const, probes_lost() const; // after the warm-up; lost: a later one arrived
    uint64_t flood_received() const;                   // bytes of payload after the warm-up

  private:
    class State;
    std::unique_ptr<State> state_;
};

} // namespace sluice::sim
