// The way back from the sink: propagation only, unlimited rate. It has its own thread, because delivering an
// acknowledgement runs the source's TCP and the router's programs in the context of the write: work that must
// not make the pacing of the forward direction late.
#pragma once

#include <atomic>
#include <cstdint>
#include <stop_token>
#include <thread>

#include "delay_line.hpp"
#include "recorder.hpp"

namespace lab {

class ReversePath {
  public:
    // Reads `from`, writes `to`; both stay open as long as this lives. Starts when constructed.
    ReversePath(int from, int to, uint64_t propagation_ns, uint64_t slack_ns);

    [[nodiscard]] Direction counts() const;

  private:
    void run(const std::stop_token &stop);
    void receive(uint64_t now);
    void deliver(uint64_t now);
    void wait(uint64_t now) const;

    int from_, to_;
    uint64_t propagation_ns_, slack_ns_;
    DelayLine line_;
    FramePool pool_;
    std::atomic<uint64_t> received_{0}, forwarded_{0}, bytes_{0},
        write_errors_{0}; // written by the thread only
    std::jthread thread_; // last: it uses all of the above
};

} // namespace lab
