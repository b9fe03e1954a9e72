// Order statistics of the rounds of one variant.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

namespace sluice::bench {

struct Figures {
    double median_ns = 0, min_ns = 0, p10_ns = 0, p90_ns = 0;
    size_t rounds = 0;
};

// `q` in 0..1, linear between neighbours. Precondition: `sorted` is not empty.
inline double quantile(const std::vector<double> &sorted, double q) {
    const double at = q * static_cast<double>(sorted.size() - 1);
    const auto below = static_cast<size_t>(at);
    const size_t above = std::min(below + 1, sorted.size() - 1);
    return sorted[below] + (sorted[above] - sorted[below]) * (at - std::floor(at));
}

inline Figures figures(std::vector<double> rounds_ns) {
    if (rounds_ns.empty())
        return {};
    std::sort(rounds_ns.begin(), rounds_ns.end());
    return {quantile(rounds_ns, 0.5), rounds_ns.front(), quantile(rounds_ns, 0.1), quantile(rounds_ns, 0.9),
            rounds_ns.size()};
}

} // namespace sluice::bench
