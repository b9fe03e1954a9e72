#include "report.hpp"

#include <algorithm>
#include <cmath>
#include <sys/resource.h>

namespace lab {

using nlohmann::json;

namespace {

constexpr double flow_bin_s = 0.1;
constexpr double delay_bin_s = 0.02;
constexpr double ms = 1e-6; // per nanosecond

json direction(const Direction &d) {
    return {{"received", d.received},
            {"forwarded", d.forwarded},
            {"bytes", d.bytes},
            {"write_errors", d.write_errors}};
}

double cpu_s() {
    rusage use{};
    getrusage(RUSAGE_SELF, &use);
    const auto seconds = [](const timeval &t) {
        return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
    };
    return seconds(use.ru_utime) + seconds(use.ru_stime);
}

double rounded(double value, double step) {
    return std::round(value / step) * step;
}

// The value that a share p of the sorted values does not exceed (nearest rank).
double percentile(const std::vector<uint64_t> &sorted, double p) {
    if (sorted.empty())
        return 0;
    const auto rank = static_cast<size_t>(std::ceil(p * static_cast<double>(sorted.size())));
    return rounded(static_cast<double>(sorted[std::clamp<size_t>(rank, 1, sorted.size()) - 1]) * ms, 1e-4);
}

json delay_statistics(std::vector<uint64_t> &delays) {
    std::sort(delays.begin(), delays.end());
    double sum = 0;
    for (const uint64_t d : delays)
        sum += static_cast<double>(d);
    json quantiles = json::array(); // of 0, 0.5, 1 ... 100 %: the distribution, ready to plot
    for (int i = 0; i <= 200; i++)
        quantiles.push_back(percentile(delays, i / 200.0));
    return {{"p50", percentile(delays, 0.50)},
            {"p90", percentile(delays, 0.90)},
            {"p99", percentile(delays, 0.99)},
            {"p999", percentile(delays, 0.999)},
            {"max", percentile(delays, 1)},
            {"mean", delays.empty() ? 0 : sum / static_cast<double>(delays.size()) * ms},
            {"quantiles", quantiles}};
}

json window_statistics(const Link &link, std::pair<double, double> window) {
    const Recorder &recorder = link.recorder();
    const auto at = [&](double s) { return recorder.go_ns + static_cast<uint64_t>(s * 1e9); };
    const uint64_t from = at(window.first), to = at(window.second);
    std::vector<uint64_t> delays;
    std::vector<uint64_t> fresh(recorder.flows.size()), frames(recorder.flows.size());
    uint64_t wire = 0, unmatched = 0;
    for (const Sample &sample : recorder.samples) {
        if (sample.start_ns < from || sample.start_ns >= to)
            continue;
        wire += sample.wire_bytes;
        fresh[sample.flow] += sample.fresh_bytes;
        frames[sample.flow]++;
        if (sample.delay_ns == never_ns)
            unmatched++;
        else
            delays.push_back(sample.delay_ns);
    }
    const double capacity = link.schedule().capacity(from, to);
    return {{"from_s", window.first},
            {"to_s", window.second},
            {"matched", delays.size()},
            {"unmatched", unmatched},
            {"wire_bytes", wire},
            {"capacity_bytes", capacity},
            {"utilisation", capacity > 0 ? static_cast<double>(wire) / capacity : 0},
            {"delay_ms", delay_statistics(delays)},
            {"flow_fresh_bytes", fresh},
            {"flow_frames", frames}};
}

// Grows `bins` so that index `i` exists.
template <class T> T &grown(std::vector<T> &bins, size_t i) {
    if (i >= bins.size())
        bins.resize(i + 1);
    return bins[i];
}

json delay_series(const Recorder &recorder) {
    std::vector<uint64_t> count, sum, max;
    for (const Sample &sample : recorder.samples) {
        if (sample.delay_ns == never_ns || sample.start_ns < recorder.go_ns)
            continue;
        const auto bin =
            static_cast<size_t>(static_cast<double>(sample.start_ns - recorder.go_ns) / 1e9 / delay_bin_s);
        grown(count, bin)++;
        grown(sum, bin) += sample.delay_ns;
        grown(max, bin) = std::max(grown(max, bin), sample.delay_ns);
    }
    json mean = json::array(), top = json::array(); // null = no frame in this bin
    for (size_t i = 0; i < count.size(); i++) {
        mean.push_back(
            count[i] ? json(rounded(static_cast<double>(sum[i]) / static_cast<double>(count[i]) * ms, 1e-3))
                     : json());
        top.push_back(count[i] ? json(rounded(static_cast<double>(max[i]) * ms, 1e-3)) : json());
    }
    return {{"bin_s", delay_bin_s}, {"mean_ms", mean}, {"max_ms", top}};
}

json flow_series(const Recorder &recorder) {
    std::vector<std::vector<uint64_t>> wire(recorder.flows.size()), fresh(recorder.flows.size());
    for (const Sample &sample : recorder.samples) {
        if (sample.start_ns < recorder.go_ns)
            continue;
        const auto bin =
            static_cast<size_t>(static_cast<double>(sample.start_ns - recorder.go_ns) / 1e9 / flow_bin_s);
        grown(wire[sample.flow], bin) += sample.wire_bytes;
        grown(fresh[sample.flow], bin) += sample.fresh_bytes;
    }
    json flows = json::array();
    for (size_t i = 0; i < recorder.flows.size(); i++) {
        const Flow &flow = recorder.flows[i];
        flows.push_back({{"proto", flow.proto},
                         {"family", flow.family},
                         {"sport", flow.sport},
                         {"dport", flow.dport},
                         {"bin_s", flow_bin_s},
                         {"wire_bytes", wire[i]},
                         {"fresh_bytes", fresh[i]}});
    }
    return flows;
}

} // namespace

json live_stats(const Link &link, const Direction &reverse, uint64_t now) {
    const Totals &totals = link.recorder().totals;
    const stack_count stack = link.stack();
    return {{"time_ns", now},
            {"go_ns", link.recorder().go_ns},
            {"rate_bit_per_s", link.schedule().rate(now) * 8},
            {"forward", direction(totals.forward)},
            {"reverse", direction(reverse)},
            {"of_source", totals.of_source},
            {"unmatched", totals.unmatched},
            {"stack_frames", stack.frames},
            {"stack_frames_of_source", stack.frames_of_source},
            {"queue_frames", totals.queue_frames},
            {"under_way", link.under_way()},
            {"starved", link.starved()},
            {"last_delay_ns", totals.last_delay_ns},
            {"last_start_ns", totals.last_start_ns},
            {"late_mean_us", totals.forward.received ? static_cast<double>(totals.late_sum_ns) / 1e3 /
                                                           static_cast<double>(totals.forward.received)
                                                     : 0},
            {"late_max_us", static_cast<double>(totals.late_max_ns) / 1e3},
            {"credit_ms", static_cast<double>(totals.credit_ns) * ms},
            {"wakeups", totals.wakeups},
            {"cpu_s", cpu_s()}};
}

json final_report(const Link &link, const Direction &reverse,
                  const std::vector<std::pair<double, double>> &windows, uint64_t now) {
    json report = live_stats(link, reverse, now);
    report["windows"] = json::array();
    if (link.recorder().go_ns == 0)
        return report; // never told when the measurement begins: no time axis
    for (const auto &window : windows)
        report["windows"].push_back(window_statistics(link, window));
    report["delay"] = delay_series(link.recorder());
    report["flows"] = flow_series(link.recorder());
    return report;
}

} // namespace lab
