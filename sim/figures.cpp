#include "figures.hpp"

#include "ns3/simulator.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "ring_disc.hpp"

namespace sluice::sim {
namespace {

using namespace ns3;
using nlohmann::json;

constexpr double kShortFlow = 100e3; // bytes; what people wait for

// 0 %, 1 % ... 100 % of the values, for the plot of the distribution.
json percentiles_ms(std::vector<float> &values) {
    std::sort(values.begin(), values.end());
    json out = json::array();
    for (size_t i = 0; i <= 100 && !values.empty(); i++)
        out.push_back(static_cast<double>(values[i * (values.size() - 1) / 100]) * 1e3);
    return out;
}

json in_ms(const Quantiles &q) {
    return {
        {"p50_ms", q.p50 * 1e3}, {"p99_ms", q.p99 * 1e3}, {"max_ms", q.max * 1e3}, {"samples", q.samples}};
}

json jain(const std::vector<double> &rates) {
    double sum = 0, squares = 0;
    for (double r : rates)
        sum += r, squares += r * r;
    if (rates.size() < 2 || squares <= 0)
        return nullptr;
    return sum * sum / (static_cast<double>(rates.size()) * squares);
}

json completion_times(const std::vector<Transfer> &transfers) {
    std::vector<float> all, small, rounds;
    uint64_t unfinished = 0;
    std::map<uint32_t, double> slowest; // of each round of incast
    for (const auto &t : transfers) {
        if (t.kind == Kind::bulk)
            continue;
        const double took_s = t.end_s - t.start_s;
        if (t.end_s == 0)
            unfinished++;
        else if (t.kind == Kind::incast)
            slowest[t.round] = std::max(slowest[t.round], took_s);
        else {
            all.push_back(static_cast<float>(took_s));
            if (static_cast<double>(t.bytes) <= kShortFlow)
                small.push_back(static_cast<float>(took_s));
        }
    }
    for (const auto &[round, took_s] : slowest)
        rounds.push_back(static_cast<float>(took_s));
    json out{{"unfinished", unfinished}};
    if (!all.empty())
        out["web"] = in_ms(quantiles(all)), out["short"] = in_ms(quantiles(small));
    if (!rounds.empty())
        out["incast"] = in_ms(quantiles(rounds));
    return out;
}

json counts_of(const QueueDisc::Stats &stats) {
    json reasons = json::object();
    for (const auto *table : {&stats.nDroppedPacketsBeforeEnqueue, &stats.nDroppedPacketsAfterDequeue})
        for (const auto &[reason, n] : *table)
            reasons[reason] = reasons.value(reason, 0u) + n;
    return reasons;
}

} // namespace

Quantiles quantiles(std::vector<float> &values) {
    if (values.empty())
        return {};
    auto at = [&](double q) {
        const auto i = static_cast<std::ptrdiff_t>(q * static_cast<double>(values.size() - 1));
        std::nth_element(values.begin(), values.begin() + i, values.end());
        return static_cast<double>(values[static_cast<size_t>(i)]);
    };
    return {at(0.5), at(0.99), at(1), values.size()};
}

LinkWatch::LinkWatch(const Network &network) : warmup_s_(network.cell.warmup_s) {
    network.disc->TraceConnectWithoutContext(
        "Dequeue", Callback<void, Ptr<const QueueDiscItem>>([this](Ptr<const QueueDiscItem> item) {
            if (!counts())
                return;
            sojourn_s.push_back(static_cast<float>((Simulator::Now() - item->GetTimeStamp()).GetSeconds()));
            sent_bytes += item->GetSize() + kLinkHeader;
        }));
    network.disc->TraceConnectWithoutContext(
        "Drop",
        Callback<void, Ptr<const QueueDiscItem>>([this](Ptr<const QueueDiscItem>) { drops += counts(); }));
    network.disc->TraceConnectWithoutContext(
        "Mark", Callback<void, Ptr<const QueueDiscItem>, const char *>(
                    [this](Ptr<const QueueDiscItem>, const char *) { marks += counts(); }));
}

bool LinkWatch::counts() const {
    return Simulator::Now().GetSeconds() >= warmup_s_;
}

json figures(const Network &network, Traffic &traffic, LinkWatch &watch) {
    const Cell &cell = network.cell;
    double goodput = 0;
    std::vector<double> rates;
    for (const auto &t : traffic.transfers()) {
        const double rate = static_cast<double>(t.received - t.received_at_warmup) * 8 / cell.duration_s;
        goodput += rate;
        if (t.kind == Kind::bulk)
            rates.push_back(rate);
    }
    const double capacity = capacity_bytes(cell, cell.warmup_s, cell.warmup_s + cell.duration_s);
    json out{
        {"goodput_mbps", goodput * 1e-6},
        {"utilisation", static_cast<double>(watch.sent_bytes) / capacity},
        {"jain", jain(rates)},
        {"slowest_flow_of_fair_share",
         rates.empty() ? json(nullptr)
                       : json(*std::min_element(rates.begin(), rates.end()) /
                              std::max(1.0, goodput / static_cast<double>(rates.size())))},
        {"delay", in_ms(quantiles(watch.sojourn_s))},
        {"completion", completion_times(traffic.transfers())},
        {"drops", watch.drops},
        {"marks", watch.marks},
        {"drops_by_reason_with_warmup", counts_of(network.disc->GetStats())},
    };
    if (cell.probe_interval_s > 0) {
        out["probe"] = in_ms(quantiles(traffic.probe_delays()));
        // Those still on their way count as arrived: at most what one delay holds.
        out["probe"]["sent"] = traffic.probes_sent();
        out["probe"]["lost"] = traffic.probes_lost();
    }
    if (cell.flood > 0)
        out["flood_mbps"] = static_cast<double>(traffic.flood_received()) * 8 / cell.duration_s * 1e-6;
    out["delay_percentiles_ms"] = percentiles_ms(watch.sojourn_s);
    return out;
}

} // namespace sluice::sim
