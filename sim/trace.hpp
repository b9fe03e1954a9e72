// The microscope: what the control loop believes, sampled each millisecond.
#pragma once

#include <fstream>

#include <nlohmann/json.hpp>

#include "network.hpp"

namespace sluice::sim {

class LoopTrace {
  public:
    explicit LoopTrace(const Network &network);
    // State of the loop now; null when the discipline is not sluice.
    nlohmann::json last() const;

  private:
    void sample();

    const Network &network_;
    std::ofstream file_;
};

} // namespace sluice::sim
