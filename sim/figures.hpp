// From a finished simulation to the figures of its cell.
#pragma once

#include <nlohmann/json.hpp>

#include "network.hpp"
#include "traffic.hpp"

namespace sluice::sim {

// Watches the slow link while the simulation runs.
class LinkWatch {
  public:
    explicit LinkWatch(const Network &network);

    std::vector<float> sojourn_s; // of each frame that left the discipline after the warm-up
    uint64_t sent_bytes = 0;      // on the link, likewise
    uint64_t drops = 0, marks = 0;

  private:
    bool counts() const;
    double warmup_s_;
};

nlohmann::json figures(const Network &network, Traffic &traffic, LinkWatch &watch);

} // namespace sluice::sim
