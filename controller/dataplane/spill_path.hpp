// The slow path of one port while it runs: sets the rate of its qdisc as the control loop wishes, and tells
// the data path when the qdisc has drained, so that flows may come back in order. A thread of its own:
// netlink can wait.
#pragma once

#include <sluice/abi.h>

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "dataplane/spill_qdisc.hpp"

namespace sluice {

class SpillPath {
  public:
    struct State {
        QdiscStats stats;
        uint64_t drops = 0; // counter
        uint64_t bytes_per_s = 0;
        std::string trouble; // what the last request failed with; empty when all is well
    };

    // `shared` stays valid as long as the path.
    static Result<std::unique_ptr<SpillPath>> open(const SpillQdisc::Config &config, sluice_port &shared,
                                                   uint64_t bytes_per_s);

    // What the loop wishes. `busy`: flows are spilled, so that somebody waits for news.
    void want(uint64_t bytes_per_s, bool busy);
    State state() const;
    // From now on the qdisc stays when this object goes. While nobody calls want().
    void leave() { qdisc_.leave(); }

  private:
    SpillPath(SpillQdisc qdisc, sluice_port &shared, uint64_t bytes_per_s);
    void run(const std::stop_token &stop);
    void step();

    SpillQdisc qdisc_;
    sluice_port &shared_;
    std::atomic<uint64_t> wanted_;
    std::atomic<bool> busy_ = false;
    mutable std::mutex mutex_; // guards state_
    State state_;
    std::condition_variable_any woken_;
    std::jthread thread_; // last: ends before what it uses
};

} // namespace sluice
