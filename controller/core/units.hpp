// Rates, durations, sizes and percentages as the operator writes them, in the words of tc(8). Inside, a rate
// is bytes per second, a duration nanoseconds, a size bytes, a percentage a fraction. Nothing here is bounded
// by what makes sense for a link: that is the policy's business.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <tl/expected.hpp>

namespace sluice {

// Why a text is not a quantity, and, where the intent is clear, the spelling that would be.
struct BadQuantity {
    std::string what;
    std::string suggestion;
};

template <class T> using Parsed = tl::expected<T, BadQuantity>;

struct Rate {
    uint64_t bytes_per_s = 0;      // rounded down
    bool written_in_bytes = false; // `50mbps` is 50 megabytes per second in tc: legal, seldom meant
};

// "50mbit", "1.5gbit", "100kibit", "8bit", "6mbps". Letter case is free in the bit words; in the byte words
// it is not, because `Mbps` nearly always means megabits. A number without a unit is refused.
Parsed<Rate> parse_rate(std::string_view text);

// "5ms", "100us", "1.5s", "20ns". A number without a unit is refused.
Parsed<uint64_t> parse_duration_ns(std::string_view text);

// "1500", "1500b", "64kb", "15k", "1m", "1g"; k, m and g are powers of 1024 as in tc.
Parsed<uint64_t> parse_size_bytes(std::string_view text);

// "10%" is 0.1; up to four decimals. Negative numbers are refused, more than 100 % is not.
Parsed<double> parse_percent(std::string_view text);

// Canonical spelling: the largest unit that leaves at most three decimals. Parsing it gives the same value.
std::string print_rate(uint64_t bytes_per_s);
std::string print_duration(uint64_t ns);
std::string print_size(uint64_t bytes);
std::string print_percent(double fraction); // rounded to four decimals

} // namespace sluice
