#include "cell.hpp"

#include <algorithm>
#include <stdexcept>

namespace sluice::sim {

std::pair<double, double> two_numbers(const std::string &text) {
    size_t first = 0, second = 0;
    try {
        const double a = std::stod(text, &first);
        if (first < text.size() && text[first] == ':') {
            const double b = std::stod(text.substr(first + 1), &second);
            if (first + 1 + second == text.size())
                return {a, b};
        }
    } catch (const std::logic_error &) {
    }
    throw std::runtime_error("`" + text + "` is not two numbers with a colon between them");
}

double capacity_bytes(const Cell &cell, double from_s, double to_s) {
    double bytes = 0, since = 0, bps = cell.slow_bps;
    auto add = [&](double until) {
        bytes += bps / 8 * std::max(0.0, std::min(until, to_s) - std::max(since, from_s));
    };
    for (const auto &text : cell.rates) {
        const auto [at, next] = two_numbers(text);
        add(at);
        since = at;
        bps = next;
    }
    add(to_s);
    return bytes;
}

} // namespace sluice::sim
