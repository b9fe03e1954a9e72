// Everything slowlink remembers about the frames it served. One sample per frame, so that any window and any
// bin width can be computed afterwards; no arithmetic on the packet path beyond one hash lookup.
#pragma once

#include <cstdint>
#include <deque>
#include <unordered_map>
#include <vector>

#include "clock.hpp"
#include "frame_key.h"

namespace lab {

struct Sample {
    uint64_t start_ns;   // serialisation starts
    uint64_t delay_ns;   // since the source sent it; never_ns = its stamp was not found
    uint32_t flow;       // index into flows
    uint32_t wire_bytes; // with framing overhead
    uint32_t
        fresh_bytes; // payload not served before: TCP sequence space beyond the highest seen, else payload
};

struct Flow {
    uint8_t proto = 0, family = 0;
    uint16_t sport = 0, dport = 0;
    bool seq_known = false;
    uint32_t next_seq = 0; // TCP: first sequence number not seen yet
};

struct Direction {
    uint64_t received = 0, forwarded = 0, bytes = 0, write_errors = 0;
};

struct Totals {
    Direction forward;
    uint64_t of_source = 0;     // forward frames that the source host sent (not the router itself)
    uint64_t unmatched = 0;     // of these, without stamp
    uint64_t last_delay_ns = 0; // of the frame dequeued last
    uint64_t last_start_ns = 0;
    uint64_t late_max_ns = 0, late_sum_ns = 0; // actual dequeue after the ideal one, ring not empty
    uint64_t credit_ns = 0;                    // wake-up latency made good
    uint64_t wakeups = 0;
    std::vector<uint64_t> queue_frames;
};

class Recorder {
  public:
    void served(const frame_identity &id, uint32_t wire_bytes, uint64_t start_ns, uint64_t delay_ns);

    Totals totals;
    std::deque<Sample> samples; // a deque never moves what it holds: no copy of megabytes while pacing
    std::vector<Flow> flows;
    uint64_t go_ns = 0; // time zero of the report; 0 = not yet

  private:
    uint32_t flow_of(const frame_identity &id);
    std::unordered_map<uint64_t, uint32_t> index_;
};

} // namespace lab
