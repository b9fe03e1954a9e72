// One cell of the matrix: what is simulated, and what came out. Plain data; names as in docs/simulator.md.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace sluice::sim {

struct Cell {
    std::string disc = "sluice"; // fifo, codel, pie, fq_codel, fq_cobalt, sluice, sluice-rate
    double fast_bps = 10e9, slow_bps = 1e9;
    uint32_t ring = 1024;                 // descriptors of the TX ring: of fifo and sluice
    std::vector<double> rtt_ms{10};       // of the hosts, in turn
    std::vector<std::string> cc{"cubic"}; // of the hosts, in turn: cubic, reno, bbr, dctcp
    uint32_t hosts = 4;                   // that TCP comes from, each behind a fast link of its own
    uint32_t flows = 8;                   // long ones
    bool ecn = false;
    double warmup_s = 1, duration_s = 3;   // figures count after the warm-up
    double probe_interval_s = 0.001;       // mean time between probes of 172 bytes; 0 = none
    double web_load = 0;                   // short flows, as a share of the slow link; sizes are heavy-tailed
    uint32_t incast = 0;                   // senders that answer at the same moment, each with...
    uint64_t incast_bytes = 65536;         // ... this much...
    double incast_period_s = 0.02;         // ... this often
    double flood = 0;                      // of UDP that does not care, as a multiple of the slow link
    double target_ms = 0, interval_ms = 0; // 0 = the default of the discipline
    double tick_us = 0;                    // 0 = as often as the loop wants; only with sluice
    std::vector<std::string> stalls;       // "from:to", s in which the loop does not tick
    std::vector<std::string> rates;        // "s:bit/s": from then on the slow link has that rate
    uint32_t seed = 1;
    std::string trace; // CSV of the loop's state each millisecond; empty = none
};

// "1.5:2e6" -> 1.5, 2e6. Throws std::runtime_error.
std::pair<double, double> two_numbers(const std::string &text);

// Bytes that the slow link can carry in [from_s, to_s).
double capacity_bytes(const Cell &cell, double from_s, double to_s);

// Delays in seconds.
struct Quantiles {
    double p50 = 0, p99 = 0, max = 0;
    uint64_t samples = 0;
};

Quantiles quantiles(std::vector<float> &values);

} // namespace sluice::sim
