// What would happen to one packet now, and why: the answer of `sluicectl explain`. Plain data.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sluice {

struct Explanation {
    std::string ingress_port, egress_port, mode; // mode: "enforce" or "shadow"
    std::string class_name, tenant;              // tenant: empty without tenants
    std::string policy_file;
    int policy_line = 0;                      // of the match that holds
    bool by_default = false;                  // no match holds
    bool unresponsive = false;                // it goes on sending although it loses: the shorter limit holds
    bool active = false;                      // the flow has a bucket in use
    uint32_t bucket = 0;                      // where it is active
    uint64_t backlog_bytes = 0, delay_ns = 0; // phantom, of the flow
    uint64_t flow_rate_bytes_per_s = 0;       // service of each backlogged flow of the class
    uint64_t class_rate_bytes_per_s = 0;      // of the class
    uint64_t capacity_bytes_per_s = 0;        // of the port
    uint32_t active_flows = 0;                // of the class
    uint64_t target_ns = 0, limit_ns = 0, ring_delay_ns = 0; // ring: sojourn of the ring furthest behind
    std::string now;                                         // one sentence: what would happen
    std::vector<std::string> limits;                         // from the flow outwards, what bounds its rate
};

} // namespace sluice
