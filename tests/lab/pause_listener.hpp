// The upstream neighbour's side of 802.3x: hears PAUSE frames on a device and says until when to be silent.
#pragma once

#include <cstdint>
#include <string>

#include "clock.hpp"
#include "core/result.hpp"

namespace lab {

class PauseListener {
  public:
    // `bits_per_s`: speed of the link, which gives the quanta their length.
    static sluice::Result<PauseListener> open(const std::string &device, double bits_per_s);

    // Takes what has arrived; the time until which nothing may be sent, in the past if it may.
    uint64_t silent_until_ns(uint64_t now);
    [[nodiscard]] uint64_t pauses() const { return pauses_; }
    [[nodiscard]] uint64_t resumes() const { return resumes_; }
    [[nodiscard]] int poll_fd() const { return socket_.get(); }

  private:
    PauseListener(Fd socket, double bits_per_s) : socket_(std::move(socket)), bits_per_s_(bits_per_s) {}

    Fd socket_;
    double bits_per_s_;
    uint64_t silent_until_ns_ = 0, pauses_ = 0, resumes_ = 0;
};

} // namespace lab
