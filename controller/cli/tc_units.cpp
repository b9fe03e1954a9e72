// The rules are those of iproute2, lib/utils.c and tc/tc_util.c.
#include "cli/tc_units.hpp"

#include <array>
#include <cmath>
#include <cstdio>

namespace sluice {
namespace {

std::string short_number(double value, int digits) {
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%.*g", digits, value);
    return text.data();
}

} // namespace

std::string tc_rate(uint64_t bytes_per_s) {
    constexpr std::array units{"bit", "Kbit", "Mbit", "Gbit", "Tbit"};
    constexpr double rounds_up_to_1000 = 999.95; // at four digits
    double bits = static_cast<double>(bytes_per_s) * 8;
    size_t unit = 0;
    for (; bits >= rounds_up_to_1000 && unit + 1 < units.size(); unit++)
        bits /= 1000;
    return (bits < rounds_up_to_1000 ? short_number(bits, 4) : std::to_string(std::llround(bits))) +
           units[unit];
}

std::string tc_time(uint64_t ns) {
    const auto value = static_cast<double>(ns);
    if (value >= 999.5e9)
        return std::to_string(std::llround(value / 1e9)) + "s";
    if (value >= 999.5e6)
        return short_number(value / 1e9, 3) + "s";
    if (value >= 999.5e3)
        return short_number(value / 1e6, 3) + "ms";
    if (ns >= 1000)
        return short_number(value / 1e3, 3) + "us";
    return std::to_string(ns) + "ns";
}

std::string tc_size(uint64_t bytes) {
    constexpr uint64_t kib = 1024, mib = 1024 * kib;
    const auto nearly_whole = [bytes](uint64_t unit) {
        const auto rounded = static_cast<uint64_t>(std::llround(static_cast<double>(bytes) / unit)) * unit;
        return bytes >= unit && std::max(rounded, bytes) - std::min(rounded, bytes) < unit / 1024;
    };
    if (nearly_whole(mib))
        return std::to_string((bytes + mib / 2) / mib) + "Mb";
    if (nearly_whole(kib))
        return std::to_string((bytes + kib / 2) / kib) + "Kb";
    return std::to_string(bytes) + "b";
}

} // namespace sluice
