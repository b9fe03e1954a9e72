#include <map>

#include "core/text.hpp"
#include "core/units.hpp"
#include "policy/check.hpp"

namespace sluice {
namespace {

using Capacity = std::optional<uint64_t>; // of the port, in bytes per second; none while it is to be measured

// min or ceil of a class as a share of the port's capacity; none when there is none, or the capacity is not
// known.
std::optional<double> share(std::optional<uint64_t> bytes_per_s, std::optional<double> fraction,
                            Capacity capacity) {
    if (fraction)
        return fraction;
    if (bytes_per_s && capacity)
        return static_cast<double>(*bytes_per_s) / static_cast<double>(*capacity);
    return std::nullopt;
}

bool ceil_below_min(const TrafficClass &c, Capacity capacity) {
    if (c.ceil_bytes_per_s && c.min_bytes_per_s)
        return *c.ceil_bytes_per_s < *c.min_bytes_per_s;
    const auto ceil = share(c.ceil_bytes_per_s, c.ceil_fraction, capacity);
    const auto min = share(c.min_bytes_per_s, c.min_fraction, capacity);
    return ceil && min && *ceil < *min;
}

void check_class(Reader &r, const Node &node, const TrafficClass &c, const std::string &port,
                 Capacity capacity) {
    if (ceil_below_min(c, capacity))
        r.error(entry_or_self(node, "ceil"), "`ceil` of class " + quote(c.name) + " is below its `min`");
    if (c.ceil_bytes_per_s && capacity && *c.ceil_bytes_per_s > *capacity)
        r.warning(entry_or_self(node, "ceil"), "`ceil` of class " + quote(c.name) +
                                                   " is above the rate of port " + quote(port) + ", " +
                                                   print_rate(*capacity) + ": it has no effect");
}

// What the classes that lead to one port have been promised so far.
struct Promise {
    double sum = 0;
    bool reported = false;
};

void check_sum(Reader &r, const Node &node, const TrafficClass &c, const std::string &port, Capacity capacity,
               Promise &promise) {
    constexpr double rounding = 1e-9; // ten times 10% is not exactly one
    promise.sum += share(c.min_bytes_per_s, c.min_fraction, capacity).value_or(0);
    if (promise.sum <= 1 + rounding || promise.reported)
        return;
    promise.reported = true;
    r.error(entry_or_self(node, "min"), "up to here the `min` rates into port " + quote(port) +
                                            " add up to " + print_percent(promise.sum) + " of its capacity");
}

} // namespace

void check_rates(Reader &r, const Node &root, const Policy &policy) {
    std::map<std::string, Capacity> capacities;
    for (const Port &port : policy.ports)
        capacities[port.name] = port.rate_bytes_per_s;
    std::map<std::string, Promise> promises;
    const Node &list = entry_or_self(root, "transitions");
    for (size_t i = 0; i < policy.transitions.size(); i++) {
        const Transition &t = policy.transitions[i];
        const Node *classes = list.children[i].find("classes");
        for (size_t k = 0; classes && k < t.classes.size(); k++) {
            check_class(r, classes->children[k], t.classes[k], t.to, capacities[t.to]);
            check_sum(r, classes->children[k], t.classes[k], t.to, capacities[t.to], promises[t.to]);
        }
    }
}

} // namespace sluice
