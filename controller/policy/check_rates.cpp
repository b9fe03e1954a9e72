#include <map>

#include "core/text.hpp"
#include "core/units.hpp"
#include "policy/check.hpp"

namespace sluice {
namespace {

using Capacity = std::optional<uint64_t>; // in bytes per second; none while it is to be measured

// A rate as a share of the capacity around it; none when there is none, or the capacity is not known.
std::optional<double> fraction_of(std::optional<uint64_t> bytes_per_s, std::optional<double> fraction,
                                  Capacity capacity) {
    if (fraction)
        return fraction;
    if (bytes_per_s && capacity)
        return static_cast<double>(*bytes_per_s) / static_cast<double>(*capacity);
    return std::nullopt;
}

bool ceil_below_min(const Share &s, Capacity capacity) {
    if (s.ceil_bytes_per_s && s.min_bytes_per_s)
        return *s.ceil_bytes_per_s < *s.min_bytes_per_s;
    const auto ceil = fraction_of(s.ceil_bytes_per_s, s.ceil_fraction, capacity);
    const auto min = fraction_of(s.min_bytes_per_s, s.min_fraction, capacity);
    return ceil && min && *ceil < *min;
}

// What those inside a share may use: its own `ceil`, else what is around it.
Capacity inside(const Share &s, Capacity around) {
    if (s.ceil_bytes_per_s)
        return around ? std::min(*around, *s.ceil_bytes_per_s) : *s.ceil_bytes_per_s;
    if (s.ceil_fraction && around)
        return static_cast<uint64_t>(static_cast<double>(*around) * *s.ceil_fraction);
    return s.ceil_fraction ? std::nullopt : around;
}

// The `min` rates promised within one share so far.
class Promises {
  public:
    Promises(Reader &r, std::string where) : r_(r), where_(std::move(where)) {}

    void add(const Share &s, Capacity capacity) {
        constexpr double rounding = 1e-9; // ten times 10% is not exactly one
        sum_ += fraction_of(s.min_bytes_per_s, s.min_fraction, capacity).value_or(0);
        if (sum_ <= 1 + rounding || reported_)
            return;
        reported_ = true;
        r_.error_at(s.min_pos, "up to here the `min` rates into " + where_ + " add up to " +
                                   print_percent(sum_) + " of its capacity");
    }

  private:
    Reader &r_;
    const std::string where_;
    double sum_ = 0;
    bool reported_ = false;
};

// The shares of one port: `around` of each is its group, or the port.
class PortRates {
  public:
    PortRates(Reader &r, const Port &port) : r_(r), port_(port), promises_(r, "port " + quote(port.name)) {}

    void add(const Transition &t) {
        std::vector<Capacity> tenant_groups, groups;
        std::vector<Promises> tenant_promises, promises;
        if (t.tenants) {
            for (const auto &g : t.tenants->groups)
                enter(g, "group", g.name, g.parent, tenant_groups, tenant_promises);
            for (const auto &tenant : t.tenants->list)
                check(tenant, "tenant", tenant.name, tenant.parent, tenant_groups, tenant_promises);
        }
        // The classes of a tenant share what the tenant has, which differs: only those of a port can be
        // summed.
        const bool own = !t.tenants;
        for (const auto &g : t.groups)
            enter(g, "class", g.name, g.parent, groups, promises, own);
        for (const auto &c : t.classes)
            check(c, "class", c.name, c.parent, groups, promises, own);
    }

  private:
    void enter(const Share &s, const char *kind, const std::string &name, std::optional<uint32_t> parent,
               std::vector<Capacity> &capacities, std::vector<Promises> &promises, bool own = true) {
        const Capacity around = check(s, kind, name, parent, capacities, promises, own);
        capacities.push_back(inside(s, around));
        promises.emplace_back(r_, std::string(kind) + " " + quote(name));
    }

    Capacity check(const Share &s, const char *kind, const std::string &name, std::optional<uint32_t> parent,
                   const std::vector<Capacity> &capacities, std::vector<Promises> &promises,
                   bool own = true) {
        const Capacity around = parent ? capacities[*parent]
                                : own  ? Capacity(port_.rate_bytes_per_s)
                                       : Capacity();
        const std::string who = std::string(kind) + " " + quote(name);
        if (ceil_below_min(s, around))
            r_.error_at(s.ceil_pos, "`ceil` of " + who + " is below its `min`");
        if (s.ceil_bytes_per_s && port_.rate_bytes_per_s && *s.ceil_bytes_per_s > *port_.rate_bytes_per_s)
            r_.warning_at(s.ceil_pos, "`ceil` of " + who + " is above the rate of port " + quote(port_.name) +
                                          ", " + print_rate(*port_.rate_bytes_per_s) + ": it has no effect");
        if (parent)
            promises[*parent].add(s, around);
        else if (own)
            promises_.add(s, around);
        return around;
    }

    Reader &r_;
    const Port &port_;
    Promises promises_;
};

} // namespace

void check_rates(Reader &r, const Policy &policy) {
    for (const Port &port : policy.ports) {
        PortRates rates(r, port);
        for (const Transition &t : policy.transitions)
            if (t.to == port.name)
                rates.add(t);
    }
}

} // namespace sluice
