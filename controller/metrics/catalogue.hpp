// The one table of metrics. Exposition, docs/metrics.md and the tests are all made from it: a new metric is
// one row in catalogue.cpp. Naming: https://prometheus.io/docs/practices/naming/ (base units, `_total` for
// counters). No per-flow labels, ever: flows are unbounded and belong to `sluicectl top` and the JSON API.
#pragma once

#include <string>
#include <vector>

#include "metrics/metric.hpp"

namespace sluice {

const std::vector<Metric> &metric_catalogue();

// Text exposition format 0.0.4; reads /proc for the process_* rows.
std::string render_metrics(const Snapshot &snapshot);
std::string render_metrics(const Scrape &scrape);

// The catalogue as a Markdown table: what docs/metrics.md has between its markers.
std::string metrics_markdown();

inline constexpr const char *metrics_content_type = "text/plain; version=0.0.4; charset=utf-8";

} // namespace sluice
