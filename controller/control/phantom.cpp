#include "control/phantom.hpp"

#include <algorithm>
#include <cmath>

namespace sluice {
namespace {

constexpr double kArrivalSmoothing_s = 0.02;
constexpr int kLevelSteps = 64;
constexpr double kAllUsed = 0.99;

// Sum of lags above a level, how many there are, and at what rate the sum falls as the level rises.
struct Above {
    double bytes = 0;
    double shares = 0;
    uint32_t flows = 0;
};

Above above(const FlowLags &flows, uint64_t origin, double level) {
    Above sum;
    for (size_t i = 0; i < flows.finishes.size(); i++) {
        const double lag = static_cast<double>(static_cast<int64_t>(flows.finishes[i] - origin)) - level;
        if (lag <= 0)
            continue;
        const double share = flows.scales.empty() ? 1 : 1.0 / std::max<uint16_t>(flows.scales[i], 1);
        sum.bytes += lag * share;
        sum.shares += share;
        sum.flows++;
    }
    return sum;
}

double lowest(const FlowLags &flows, uint64_t origin) {
    int64_t low = static_cast<int64_t>(flows.finishes.front() - origin);
    for (uint64_t f : flows.finishes)
        low = std::min(low, static_cast<int64_t>(f - origin));
    return static_cast<double>(low);
}

double all_shares(const FlowLags &flows) {
    if (flows.scales.empty())
        return static_cast<double>(flows.finishes.size());
    double sum = 0;
    for (uint16_t scale : flows.scales)
        sum += 1.0 / std::max<uint16_t>(scale, 1);
    return sum;
}

} // namespace

// The sum falls with slope -shares, piecewise and convex: Newton steps from the left never pass the solution.
WaterLevel water_level(const FlowLags &flows, double backlog, uint64_t start) {
    if (flows.finishes.empty())
        return {start, 0, 0};
    double level = 0;
    Above sum = above(flows, start, level);
    if (sum.bytes < backlog) {
        // The solution lies left of `start`: begin where every flow is above the level.
        level = std::min(lowest(flows, start), 0.0) - std::max(backlog - sum.bytes, 0.0) / all_shares(flows);
        sum = above(flows, start, level);
    }
    for (int i = 0; i < kLevelSteps && sum.flows > 0 && sum.bytes > backlog + 0.5; i++) {
        level += (sum.bytes - backlog) / sum.shares;
        sum = above(flows, start, level);
    }
    return {start + static_cast<uint64_t>(static_cast<int64_t>(std::llround(level))), sum.flows, sum.shares};
}

namespace {

// What each class gets while it is backlogged: the others take what they need (not backlogged) or their
// share.
void set_service_rates(ShareTree &tree, std::span<PhantomClass> classes, std::span<const PhantomInput> inputs,
                       double capacity) {
    tree.begin();
    for (const auto &in : inputs) {
        const PhantomClass &c = classes[in.index];
        tree.ask(c.node, c.active_flows ? capacity : std::min(c.arrival_bytes_per_s, capacity));
    }
    tree.divide(capacity, capacity, 1);
    double all = 0;
    for (const auto &in : inputs)
        all += tree.given(classes[in.index].node);
    for (const auto &in : inputs) {
        PhantomClass &c = classes[in.index];
        const double given = tree.given(c.node);
        c.service_bytes_per_s = c.active_flows ? given : tree.would_get(c.node);
        c.under_ceiling = all - given + c.service_bytes_per_s < kAllUsed * capacity;
    }
}

// The ring holds more than the classes are thought to have waiting: the link is slower than it was taken for.
// What waits there is theirs, in proportion to what they sent lately.
void anchor_to_ring(std::span<PhantomClass> classes, std::span<const PhantomInput> inputs,
                    double ring_bytes) {
    double backlog = 0, arrivals = 0;
    for (const auto &in : inputs) {
        backlog += classes[in.index].backlog_bytes;
        arrivals += classes[in.index].arrival_bytes_per_s;
    }
    if (backlog >= ring_bytes || arrivals <= 0)
        return;
    for (const auto &in : inputs) {
        PhantomClass &c = classes[in.index];
        c.backlog_bytes += (ring_bytes - backlog) * c.arrival_bytes_per_s / arrivals;
    }
}

void serve(ShareTree &tree, std::span<PhantomClass> classes, std::span<const PhantomInput> inputs,
           const PhantomService &service) {
    const double dt_s = service.dt_s, smoothing = std::min(1.0, dt_s / kArrivalSmoothing_s);
    tree.begin();
    for (const auto &in : inputs)
        tree.ask(classes[in.index].node, classes[in.index].backlog_bytes + in.admitted_bytes);
    tree.divide(service.bytes_per_s * dt_s, service.bytes_per_s, dt_s);
    for (const auto &in : inputs) {
        PhantomClass &c = classes[in.index];
        if (dt_s > 0)
            c.arrival_bytes_per_s += smoothing * (in.admitted_bytes / dt_s - c.arrival_bytes_per_s);
        const bool gone = service.caught_up && tree.limit(c.node) >= service.bytes_per_s;
        c.backlog_bytes = gone ? 0 : std::max(0.0, c.backlog_bytes + in.admitted_bytes - tree.given(c.node));
    }
}

} // namespace

void phantom_adopt(PhantomClass &c, uint64_t vt, const FlowLags &flows) {
    const Above sum = above(flows, vt, 0);
    c.vt = vt;
    c.backlog_bytes = sum.bytes;
    c.active_flows = sum.flows;
    c.active_shares = sum.shares;
}

void phantom_rest(PhantomClass &c) {
    c.backlog_bytes = c.arrival_bytes_per_s = c.active_shares = 0;
    c.active_flows = 0;
}

void phantom_step(ShareTree &tree, std::span<PhantomClass> classes, std::span<const PhantomInput> inputs,
                  const PhantomService &service) {
    serve(tree, classes, inputs, service);
    anchor_to_ring(classes, inputs, service.ring_bytes);
    for (const auto &in : inputs) {
        PhantomClass &c = classes[in.index];
        if (in.flows.finishes.empty())
            c.backlog_bytes = 0;
        const WaterLevel level = water_level(in.flows, c.backlog_bytes, c.vt);
        c.vt = level.vt;
        c.active_flows = level.active;
        c.active_shares = level.shares;
    }
    set_service_rates(tree, classes, inputs, service.bytes_per_s);
}

} // namespace sluice
