// The emulated link, forward: frames are pulled out of the slow TAP's rings one at a time, only when the link
// is free, so that the rings are the only queue; each leaves after its serialisation and propagation time.
// Deadlines are absolute: a late wake-up delays frames but never loses capacity. The way back:
// reverse_path.hpp.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "clock.hpp"
#include "delay_line.hpp"
#include "rate_schedule.hpp"
#include "recorder.hpp"
#include "stamps.hpp"

namespace lab {

struct LinkParameters {
    uint64_t propagation_ns = 0; // each way
    unsigned overhead = 24, mpu = 84;
    uint64_t wake_credit_ns = 0;
    std::array<uint8_t, 6> source_mac{}; // zero = classify by IP address only
    SourceHost source;
};

class Link {
  public:
    Link(std::vector<Fd> slow, Fd sink, RateSchedule schedule, LinkParameters parameters, Stamps stamps);

    // Does all that is due at `now` and returns when to call again; never_ns = only when a descriptor is
    // ready.
    uint64_t step(uint64_t now);
    // True while the next frame must be waited for: poll the slow port's queues.
    [[nodiscard]] bool starved() const { return starved_; }
    [[nodiscard]] const std::vector<Fd> &slow() const { return slow_; }
    [[nodiscard]] const Fd &sink() const { return sink_; }

    void go(uint64_t now);
    void set_rate(uint64_t now, double bytes_per_s);
    void pause(uint64_t now);
    void resume(uint64_t now);

    [[nodiscard]] const RateSchedule &schedule() const { return schedule_; }
    [[nodiscard]] const Recorder &recorder() const { return recorder_; }
    [[nodiscard]] stack_count stack() const { return stamps_.stack(); }
    [[nodiscard]] size_t under_way() const { return forward_.size(); }
    void woke() { recorder_.totals.wakeups++; }

  private:
    bool pull(uint64_t now);
    std::unique_ptr<Frame> read_next();
    void serialise(std::unique_ptr<Frame> frame, bool was_starved, uint64_t now);
    void deliver(uint64_t now);
    void rate_changed(uint64_t now);
    [[nodiscard]] bool of_source(const Frame &frame) const;

    std::vector<Fd> slow_;
    Fd sink_;
    RateSchedule schedule_;
    LinkParameters parameters_;
    Stamps stamps_;
    Recorder recorder_;
    FramePool pool_;
    DelayLine forward_;
    size_t next_queue_ = 0;
    bool starved_ = true;  // the rings were empty at the last attempt
    uint64_t free_ns_ = 0; // when the frame in service is through
    uint64_t service_start_ns_ = 0;
    double service_bytes_ = 0;
};

} // namespace lab
