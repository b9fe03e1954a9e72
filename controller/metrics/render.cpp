// Catalogue + snapshot → text exposition; catalogue → Markdown. Families are built afresh at each scrape
// (https://prometheus.io/docs/instrumenting/writing_exporters/), so there is no registry that could go stale.
#include <limits>
#include <sstream>

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>
#include <sluice/histogram.h>

#include "metrics/catalogue.hpp"

namespace sluice {
namespace {

prometheus::ClientMetric::Histogram to_histogram(const Sample &sample) {
    prometheus::ClientMetric::Histogram out;
    out.sample_sum = sample.value;
    const auto bounds = delay_bounds_s();
    for (size_t i = 0; i < sample.buckets.size(); i++) {
        out.sample_count += sample.buckets[i];
        const double bound = i < bounds.size() ? bounds[i] : std::numeric_limits<double>::infinity();
        out.bucket.push_back({out.sample_count, bound});
    }
    return out;
}

prometheus::MetricType type_of(MetricKind kind) {
    switch (kind) {
    case MetricKind::counter:
        return prometheus::MetricType::Counter;
    case MetricKind::gauge:
        return prometheus::MetricType::Gauge;
    case MetricKind::histogram:
        break;
    }
    return prometheus::MetricType::Histogram;
}

const char *name_of(MetricKind kind) {
    return kind == MetricKind::counter ? "counter" : kind == MetricKind::gauge ? "gauge" : "histogram";
}

prometheus::ClientMetric to_client_metric(const Metric &metric, const Sample &sample) {
    prometheus::ClientMetric out;
    for (size_t i = 0; i < metric.labels.size(); i++)
        out.label.push_back({metric.labels[i], sample.label_values[i]});
    if (metric.kind == MetricKind::counter)
        out.counter.value = sample.value;
    else if (metric.kind == MetricKind::gauge)
        out.gauge.value = sample.value;
    else
        out.histogram = to_histogram(sample);
    return out;
}

prometheus::MetricFamily to_family(const Metric &metric, const Scrape &scrape) {
    prometheus::MetricFamily family;
    family.name = metric.name;
    family.help = metric.help;
    family.type = type_of(metric.kind);
    for (const auto &sample : metric.collect(scrape))
        family.metric.push_back(to_client_metric(metric, sample));
    return family;
}

std::string code_list(const std::vector<std::string> &words) {
    std::string out;
    for (const auto &word : words)
        out += (out.empty() ? "`" : ", `") + word + "`";
    return out;
}

} // namespace

std::vector<double> delay_bounds_s() {
    std::vector<double> bounds;
    for (unsigned i = 0; i + 1 < SLUICE_DELAY_BUCKETS; i++)
        bounds.push_back(static_cast<double>(1ull << (SLUICE_DELAY_SHIFT + i)) / 1e9);
    return bounds;
}

std::string render_metrics(const Scrape &scrape) {
    std::vector<prometheus::MetricFamily> families;
    for (const auto &metric : metric_catalogue())
        families.push_back(to_family(metric, scrape));
    return prometheus::TextSerializer().Serialize(families);
}

std::string render_metrics(const Snapshot &snapshot) {
    const auto process = read_process_stats();
    return render_metrics(Scrape{snapshot, process});
}

std::string metrics_markdown() {
    std::ostringstream out;
    out << "| name | kind | unit | labels | meaning |\n|---|---|---|---|---|\n";
    for (const auto &m : metric_catalogue())
        out << "| `" << m.name << "` | " << name_of(m.kind) << " | " << m.unit << " | " << code_list(m.labels)
            << " | " << m.help << " |\n";
    return out.str();
}

} // namespace sluice
