// Shape of one row of the metrics catalogue. A row knows its name and how to read its samples from a scrape;
// it keeps nothing between scrapes, so series of a port that is gone vanish by themselves.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "control/snapshot.hpp"
#include "metrics/process.hpp"

namespace sluice {

enum class MetricKind { counter, gauge, histogram };

// What all rows of one exposition are read from.
struct Scrape {
    const Snapshot &snapshot;
    const ProcessStats &process;
};

struct Sample {
    std::vector<std::string> label_values; // as many as Metric::labels, same order
    double value = 0;                      // counters are exact up to 2^53; a histogram's sum
    std::vector<uint64_t> buckets = {};    // of a histogram: frames per bucket of delay_bounds_s()
};

// Upper bounds of the buckets of all histograms, in seconds; the last bucket has none.
std::vector<double> delay_bounds_s();

struct Metric {
    std::string name;
    MetricKind kind = MetricKind::gauge;
    std::string unit; // base unit in words, for the reader of docs/metrics.md
    std::vector<std::string> labels;
    std::string help; // one sentence, one line
    std::function<std::vector<Sample>(const Scrape &)> collect;
};

} // namespace sluice
