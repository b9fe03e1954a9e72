#include "probe_log.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace lab {

using nlohmann::json;

uint64_t ProbeLog::sent(uint64_t now_ns) {
    probes_.push_back({now_ns, 0});
    return probes_.size() - 1;
}

void ProbeLog::received(uint64_t seq, uint64_t now_ns) {
    if (seq < probes_.size() && probes_[seq].rtt_ns == 0)
        probes_[seq].rtt_ns = now_ns - probes_[seq].sent_ns;
}

// Probes sent before `go` have negative times.
double ProbeLog::seconds(const Probe &probe) const {
    return (static_cast<double>(probe.sent_ns) - static_cast<double>(go_ns_)) / 1e9;
}

json ProbeLog::window(double from_s, double to_s) const {
    std::vector<double> rtts;
    size_t count = 0;
    for (const Probe &probe : probes_) {
        if (seconds(probe) < from_s || seconds(probe) >= to_s)
            continue;
        count++;
        if (probe.rtt_ns)
            rtts.push_back(static_cast<double>(probe.rtt_ns) / 1e6);
    }
    std::sort(rtts.begin(), rtts.end());
    const auto percentile = [&](double p) -> json {
        if (rtts.empty())
            return nullptr;
        const auto rank = static_cast<size_t>(std::ceil(p * static_cast<double>(rtts.size())));
        return rtts[std::clamp<size_t>(rank, 1, rtts.size()) - 1];
    };
    return {{"from_s", from_s},
            {"to_s", to_s},
            {"sent", count},
            {"lost", count - rtts.size()},
            {"rtt_ms",
             {{"min", percentile(0)},
              {"p50", percentile(0.5)},
              {"p90", percentile(0.9)},
              {"p99", percentile(0.99)},
              {"max", percentile(1)}}}};
}

json ProbeLog::report(const std::vector<std::string> &windows) const {
    json result = {{"windows", json::array()},
                   {"series", json::array()}}; // series: [sent at s, RTT ms or null]
    for (const std::string &text : windows) {
        double from = 0, to = 0;
        std::sscanf(text.c_str(), "%lf:%lf", &from, &to);
        result["windows"].push_back(window(from, to));
    }
    for (const Probe &probe : probes_)
        result["series"].push_back(
            {std::round(seconds(probe) * 1e3) / 1e3,
             probe.rtt_ns ? json(std::round(static_cast<double>(probe.rtt_ns) / 1e3) / 1e3) : json()});
    return result;
}

} // namespace lab
