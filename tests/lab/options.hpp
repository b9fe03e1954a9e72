// Command line of slowlink.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "stamps.hpp"

namespace lab {

struct Options {
    std::string tap = "wan0", tap_netns;       // slow port, in the router
    std::string sink_tap = "dst0", sink_netns; // where its frames come out
    unsigned queues = 1;
    std::string rate = "50mbit", schedule, trace_file;
    double delay_ms = 10;   // propagation, each way
    unsigned overhead = 24; // bytes added to each frame on the wire
    unsigned mpu = 84;      // smallest frame on the wire, overhead included
    double wake_credit_us = 0;
    double slack_us = 20; // every deadline is served up to this much late; capacity is not lost
    bool busy_poll = false, realtime = true;
    SourceHost source;
    std::string source_mac; // frames from this MAC count as the source's even when not IP
    std::string control_socket, json_file;
    std::vector<std::pair<double, double>> windows; // seconds after `go`, each gets its own statistics
};

// Parses, or prints help or the error and exits.
Options parse_options(int argc, char **argv);

} // namespace lab
