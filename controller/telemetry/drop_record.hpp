// One verdict that was not "forward as it came", explained: plain data for the API and for sluicectl.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sluice {

struct DropRecord {
    uint64_t seq = 0;   // counts up from 1 while the daemon lives
    double unix_s = 0;  // wall clock of the verdict
    std::string reason; // "drop_codel", "mark", ...: enum sluice_outcome
    std::string ingress_port, egress_port, class_name;
    std::string tenant; // empty without tenants
    std::string policy_file;
    int policy_line = 0; // of the class; of its transition for the built-in class `default`
    uint32_t bucket = 0; // of the flow
    uint32_t cpu = 0;
    uint32_t wire_bytes = 0, frame_bytes = 0;
    uint64_t delay_ns = 0;      // phantom: what the flow would have waited
    uint64_t ring_delay_ns = 0; // predicted for the TX ring
    uint32_t ring = 0, ring_size = 0, ring_occupancy = 0;
    uint64_t ring_sojourn_ns = 0;
    std::string src, dst; // text; empty where the frame is not IP
    uint16_t sport = 0, dport = 0;
    uint8_t family = 0, proto = 0, dscp = 0, ecn = 0;
    std::vector<uint8_t> frame; // first bytes, as received
};

// A stretch of the records that the daemon keeps, oldest first.
struct DropPage {
    std::vector<DropRecord> events;
    uint64_t next = 1;   // ask with since=next for what comes after these
    uint64_t missed = 0; // records since the asked one that were overwritten before they were read
};

} // namespace sluice
