// Catalogue + snapshot → text exposition; catalogue → Markdown. Families are built afresh at each scrape
// (https://prometheus.io/docs/instrumenting/writing_exporters/), so there is no registry that could go stale.
#include <sstream>

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include "metrics/catalogue.hpp"

namespace sluice {
namespace {

prometheus::ClientMetric to_client_metric(const Metric &metric, const Sample &sample) {
    prometheus::ClientMetric out;
    for (size_t i = 0; i < metric.labels.size(); i++)
        out.label.push_back({metric.labels[i], sample.label_values[i]});
    if (metric.kind == MetricKind::counter)
        out.counter.value = sample.value;
    else
        out.gauge.value = sample.value;
    return out;
}

prometheus::MetricFamily to_family(const Metric &metric, const Scrape &scrape) {
    prometheus::MetricFamily family;
    family.name = metric.name;
    family.help = metric.help;
    family.type =
        metric.kind == MetricKind::counter ? prometheus::MetricType::Counter : prometheus::MetricType::Gauge;
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
        out << "| `" << m.name << "` | " << (m.kind == MetricKind::counter ? "counter" : "gauge") << " | "
            << m.unit << " | " << code_list(m.labels) << " | " << m.help << " |\n";
    return out.str();
}

} // namespace sluice
