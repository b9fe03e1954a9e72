// How long the loop takes to know a new rate of the link.
#pragma once

#include <vector>

#include "network.hpp"

namespace sluice::sim {

class RateFollower {
  public:
    // Also changes the rate of the slow link as the cell says.
    explicit RateFollower(const Network &network);

    // For each change: seconds until sluice's estimate was within a tenth of the new rate and stayed there
    // until the next one; negative where it never was.
    std::vector<double> settled_s() const;

  private:
    struct Change {
        double at_s, bps;
        double outside_s; // when the estimate was last off
    };
    void sample();
    void set_rate(double bps);

    const Network &network_;
    std::vector<Change> changes_;
    size_t current_ = 0; // changes that have happened
};

} // namespace sluice::sim
