#include "control/phantom.hpp"

#include <algorithm>
#include <cmath>

namespace sluice {
namespace {

constexpr double kArrivalSmoothing_s = 0.02;
constexpr int kLevelSteps = 64;

double ceiling_of(const ShareRequest &r) {
    return r.ceiling > 0 ? std::min(r.demand, r.ceiling) : r.demand;
}

// One priority: raise everybody's level together, by weight, until the credit or the wishes run out.
double fill_priority(uint8_t priority, double credit, std::span<const ShareRequest> requests,
                     std::span<double> given) {
    for (size_t round = 0; round <= requests.size() && credit > 0; round++) {
        double weights = 0, spent = 0;
        for (size_t i = 0; i < requests.size(); i++)
            if (requests[i].priority == priority && given[i] < ceiling_of(requests[i]))
                weights += requests[i].weight;
        if (weights <= 0)
            break;
        for (size_t i = 0; i < requests.size(); i++) {
            const double room = ceiling_of(requests[i]) - given[i];
            if (requests[i].priority != priority || room <= 0)
                continue;
            const double share = std::min(room, credit * requests[i].weight / weights);
            given[i] += share;
            spent += share;
        }
        credit -= spent;
    }
    return std::max(credit, 0.0);
}

// Sum of lags above `vt` and how many there are.
struct Above {
    double bytes = 0;
    uint32_t flows = 0;
};
Above above(std::span<const uint64_t> finishes, uint64_t origin, double level) {
    Above sum;
    for (uint64_t f : finishes) {
        const double lag = static_cast<double>(static_cast<int64_t>(f - origin)) - level;
        if (lag > 0) {
            sum.bytes += lag;
            sum.flows++;
        }
    }
    return sum;
}

double lowest(std::span<const uint64_t> finishes, uint64_t origin) {
    int64_t low = static_cast<int64_t>(finishes.front() - origin);
    for (uint64_t f : finishes)
        low = std::min(low, static_cast<int64_t>(f - origin));
    return static_cast<double>(low);
}

} // namespace

void share_out(double credit, std::span<const ShareRequest> requests, std::span<double> given) {
    std::vector<uint8_t> priorities;
    for (size_t i = 0; i < requests.size(); i++) {
        given[i] = std::min({ceiling_of(requests[i]), requests[i].guaranteed, credit});
        credit -= given[i];
        priorities.push_back(requests[i].priority);
    }
    std::sort(priorities.begin(), priorities.end());
    priorities.erase(std::unique(priorities.begin(), priorities.end()), priorities.end());
    for (uint8_t p : priorities)
        credit = fill_priority(p, credit, requests, given);
}

// The sum falls with slope -active, piecewise and convex: Newton steps from the left never pass the solution.
WaterLevel water_level(std::span<const uint64_t> finishes, double backlog, uint64_t start) {
    if (finishes.empty())
        return {start, 0};
    double level = 0;
    Above sum = above(finishes, start, level);
    if (sum.bytes < backlog) {
        // The solution lies left of `start`: begin where every flow is above the level.
        level = std::min(lowest(finishes, start), 0.0) -
                std::max(backlog - sum.bytes, 0.0) / static_cast<double>(finishes.size());
        sum = above(finishes, start, level);
    }
    for (int i = 0; i < kLevelSteps && sum.flows > 0 && sum.bytes > backlog + 0.5; i++) {
        level += (sum.bytes - backlog) / sum.flows;
        sum = above(finishes, start, level);
    }
    return {start + static_cast<uint64_t>(static_cast<int64_t>(std::llround(level))), sum.flows};
}

namespace {

ShareRequest request_of(const PhantomClass &c, double demand, double unit_s) {
    return {demand, c.guaranteed_bytes_per_s * unit_s, c.ceiling_bytes_per_s * unit_s, c.weight, c.priority};
}

// What each class gets while it is backlogged: the others take what they need (not backlogged) or their
// share.
void set_service_rates(std::span<PhantomClass> classes, double capacity) {
    std::vector<ShareRequest> requests;
    std::vector<double> given(classes.size());
    for (const auto &c : classes)
        requests.push_back(
            request_of(c, c.active_flows ? capacity : std::min(c.arrival_bytes_per_s, capacity), 1));
    share_out(capacity, requests, given);
    for (size_t i = 0; i < classes.size(); i++)
        if (classes[i].active_flows)
            classes[i].service_bytes_per_s = given[i];
    for (size_t i = 0; i < classes.size(); i++) {
        if (classes[i].active_flows)
            continue;
        const double demand = requests[i].demand;
        requests[i].demand = capacity;
        share_out(capacity, requests, given);
        classes[i].service_bytes_per_s = given[i];
        requests[i].demand = demand;
    }
}

// The ring holds more than the classes are thought to have waiting: the link is slower than it was taken for.
// What waits there is theirs, in proportion to what they sent lately.
void anchor_to_ring(std::span<PhantomClass> classes, double ring_bytes) {
    double backlog = 0, arrivals = 0;
    for (const auto &c : classes) {
        backlog += c.backlog_bytes;
        arrivals += c.arrival_bytes_per_s;
    }
    if (backlog >= ring_bytes || arrivals <= 0)
        return;
    for (auto &c : classes)
        c.backlog_bytes += (ring_bytes - backlog) * c.arrival_bytes_per_s / arrivals;
}

} // namespace

void phantom_adopt(PhantomClass &c, uint64_t vt, std::span<const uint64_t> finishes) {
    const Above sum = above(finishes, vt, 0);
    c.vt = vt;
    c.backlog_bytes = sum.bytes;
    c.active_flows = sum.flows;
}

void phantom_step(std::span<PhantomClass> classes, std::span<const PhantomInput> inputs,
                  const PhantomService &service) {
    std::vector<ShareRequest> requests;
    std::vector<double> served(classes.size());
    const double dt_s = service.dt_s, smoothing = std::min(1.0, dt_s / kArrivalSmoothing_s);

    for (size_t i = 0; i < classes.size(); i++)
        requests.push_back(request_of(classes[i], classes[i].backlog_bytes + inputs[i].admitted_bytes, dt_s));
    share_out(service.bytes_per_s * dt_s, requests, served);
    for (size_t i = 0; i < classes.size(); i++) {
        PhantomClass &c = classes[i];
        if (dt_s > 0)
            c.arrival_bytes_per_s += smoothing * (inputs[i].admitted_bytes / dt_s - c.arrival_bytes_per_s);
        c.backlog_bytes = std::max(0.0, requests[i].demand - served[i]);
    }
    anchor_to_ring(classes, service.ring_bytes);
    for (size_t i = 0; i < classes.size(); i++) {
        PhantomClass &c = classes[i];
        if (inputs[i].finishes.empty())
            c.backlog_bytes = 0;
        const WaterLevel level = water_level(inputs[i].finishes, c.backlog_bytes, c.vt);
        c.vt = level.vt;
        c.active_flows = level.active;
    }
    set_service_rates(classes, service.bytes_per_s);
}

} // namespace sluice
