#include "core/units.hpp"

#include <cmath>
#include <optional>
#include <span>

#include "core/text.hpp"

namespace sluice {
namespace {

__extension__ using u128 = unsigned __int128;

struct Unit {
    std::string_view word; // lower case
    uint64_t scale;
};

constexpr uint64_t kilo = 1000, mega = kilo * kilo, giga = mega * kilo, tera = giga * kilo;
constexpr uint64_t kibi = 1024, mebi = kibi * kibi, gibi = mebi * kibi, tebi = gibi * kibi;

constexpr Unit bit_units[] = {
    {"bit", 1},      {"kbit", kilo},  {"mbit", mega},  {"gbit", giga},  {"tbit", tera},
    {"kibit", kibi}, {"mibit", mebi}, {"gibit", gibi}, {"tibit", tebi},
};
constexpr Unit byte_rate_units[] = {
    {"bps", 8},         {"kbps", 8 * kilo}, {"mbps", 8 * mega}, {"gbps", 8 * giga},
    {"KBps", 8 * kilo}, {"MBps", 8 * mega}, {"GBps", 8 * giga},
};
constexpr Unit time_units[] = {{"ns", 1}, {"us", kilo}, {"ms", mega}, {"s", giga}};
constexpr Unit size_units[] = {
    {"", 1}, {"b", 1}, {"k", kibi}, {"kb", kibi}, {"m", mebi}, {"mb", mebi}, {"g", gibi}, {"gb", gibi},
};

// What people write by habit, lower case and without blanks, and the word they mean.
struct Habit {
    std::string_view written, meant;
};
constexpr Habit rate_habits[] = {
    {"k", "kbit"},       {"kb", "kbit"},     {"kbps", "kbit"},  {"kb/s", "kbit"}, {"kbit/s", "kbit"},
    {"kbits", "kbit"},   {"m", "mbit"},      {"mb", "mbit"},    {"mbps", "mbit"}, {"mb/s", "mbit"},
    {"mbit/s", "mbit"},  {"mbits", "mbit"},  {"g", "gbit"},     {"gb", "gbit"},   {"gbps", "gbit"},
    {"gb/s", "gbit"},    {"gbit/s", "gbit"}, {"gbits", "gbit"}, {"t", "tbit"},    {"tbps", "tbit"},
    {"b", "bit"},        {"bit/s", "bit"},   {"bits", "bit"},   {"b/s", "bit"},   {"megabit", "mbit"},
    {"gigabit", "gbit"}, {"mib", "mibit"},   {"gib", "gibit"},
};
constexpr Habit time_habits[] = {
    {"\u00b5s", "us"}, {"\u03bcs", "us"}, {"usec", "us"},  {"usecs", "us"},  {"msec", "ms"}, {"msecs", "ms"},
    {"sec", "s"},      {"secs", "s"},     {"second", "s"}, {"seconds", "s"}, {"nsec", "ns"}, {"", "ms"},
};
constexpr Habit size_habits[] = {
    {"kib", "kb"},  {"mib", "mb"},   {"gib", "gb"},   {"byte", "b"},
    {"bytes", "b"}, {"kbyte", "kb"}, {"mbyte", "mb"},
};
constexpr Habit percent_habits[] = {{"", "%"}, {"%", "%"}, {"percent", "%"}, {"pct", "%"}};

// A decimal number as it is written: 1.5 is 15 with one decimal.
struct Decimal {
    u128 digits = 0;
    int decimals = 0;
    std::string_view unit; // the rest of the text
};

constexpr int max_decimals = 9;
constexpr size_t max_digits = 21; // 2^64 bytes in bits has 21

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

uint64_t power_of_ten(int n) {
    uint64_t p = 1;
    while (n-- > 0)
        p *= 10;
    return p;
}

// Digits, then optionally a point and more digits; the rest is the unit.
std::optional<Decimal> split(std::string_view text) {
    Decimal d;
    size_t i = 0;
    while (i < text.size() && is_digit(text[i]))
        i++;
    const size_t whole = i;
    size_t end = whole;
    if (whole > 0 && i + 1 < text.size() && text[i] == '.' && is_digit(text[i + 1])) {
        for (end = i + 1; end < text.size() && is_digit(text[end]);)
            end++;
        d.decimals = static_cast<int>(end - whole - 1);
    }
    if (whole == 0 || whole + d.decimals > max_digits || d.decimals > max_decimals)
        return std::nullopt;
    for (char c : text.substr(0, end))
        if (c != '.')
            d.digits = d.digits * 10 + static_cast<unsigned>(c - '0');
    d.unit = text.substr(end);
    return d;
}

std::string suggest(std::string_view text, std::span<const Habit> habits, std::span<const Unit> units) {
    std::string squeezed;
    for (char c : text)
        if (c != ' ' && c != '\t')
            squeezed += c == ',' ? '.' : c;
    const auto d = split(squeezed);
    if (!d)
        return {};
    const std::string number = squeezed.substr(0, squeezed.size() - d->unit.size());
    const std::string unit = lower(d->unit);
    for (const Habit &h : habits)
        if (h.written == unit)
            return number + std::string(h.meant);
    for (const Unit &u : units)
        if (u.word == unit)
            return number + unit;
    return {};
}

tl::unexpected<BadQuantity> bad(std::string what, std::string suggestion = {}) {
    return tl::unexpected<BadQuantity>(BadQuantity{std::move(what), std::move(suggestion)});
}

// The text is no quantity. A spelling is only suggested when it is legal.
template <class Parse>
tl::unexpected<BadQuantity> refuse(std::string_view text, const char *why, std::string suggestion,
                                   Parse parse) {
    if (!suggestion.empty() && !parse(suggestion))
        suggestion.clear();
    return bad(quote(text) + why, std::move(suggestion));
}

enum class Remainder { drop, refuse };

// value = digits / 10^decimals * scale / divisor in whole numbers. 10^21 * 8 * 10^12 needs 113 of the 128
// bits.
Parsed<uint64_t> scaled(std::string_view text, const Decimal &d, uint64_t scale, uint64_t divisor,
                        Remainder rest) {
    const u128 numerator = d.digits * scale;
    const u128 denominator = static_cast<u128>(power_of_ten(d.decimals)) * divisor;
    const u128 value = numerator / denominator;
    if (value > UINT64_MAX)
        return bad(quote(text) + " is too large");
    const bool inexact = numerator % denominator != 0;
    if (inexact && (rest == Remainder::refuse || value == 0))
        return bad(quote(text) + " is finer than the smallest unit");
    return static_cast<uint64_t>(value);
}

std::optional<uint64_t> scale_of(std::string_view word, std::span<const Unit> units) {
    for (const Unit &u : units)
        if (u.word == word)
            return u.scale;
    return std::nullopt;
}

std::string with_decimals(u128 value, u128 scale, std::string_view unit) {
    std::string out = std::to_string(static_cast<uint64_t>(value / scale));
    auto thousandths = static_cast<uint64_t>(value % scale * 1000 / scale);
    if (thousandths != 0) {
        std::string fraction = std::to_string(1000 + thousandths).substr(1);
        fraction.erase(fraction.find_last_not_of('0') + 1);
        out += "." + fraction;
    }
    return out + std::string(unit);
}

// `units` from large to small; the last one has scale 1.
std::string print(u128 value, std::span<const Unit> units) {
    for (const Unit &u : units)
        if (value >= u.scale && value * 1000 % u.scale == 0)
            return with_decimals(value, u.scale, u.word);
    return "0" + std::string(units.back().word);
}

} // namespace

Parsed<Rate> parse_rate(std::string_view text) {
    const auto d = split(text);
    auto scale = d ? scale_of(lower(d->unit), bit_units) : std::nullopt;
    const bool in_bytes = !scale;
    if (d && in_bytes)
        scale = scale_of(d->unit, byte_rate_units);
    if (!scale)
        return refuse(text, " is not a rate: write a number and bit, kbit, mbit or gbit",
                      suggest(text, rate_habits, bit_units), parse_rate);
    return scaled(text, *d, *scale, 8, Remainder::drop).map([&](uint64_t v) { return Rate{v, in_bytes}; });
}

Parsed<uint64_t> parse_duration_ns(std::string_view text) {
    const auto d = split(text);
    const auto scale = d ? scale_of(d->unit, time_units) : std::nullopt;
    if (!scale)
        return refuse(text, " is not a duration: write a number and ns, us, ms or s",
                      suggest(text, time_habits, time_units), parse_duration_ns);
    return scaled(text, *d, *scale, 1, Remainder::refuse);
}

Parsed<uint64_t> parse_size_bytes(std::string_view text) {
    const auto d = split(text);
    const auto scale = d ? scale_of(lower(d->unit), size_units) : std::nullopt;
    if (!scale)
        return refuse(text, " is not a size: write a number of bytes, or a number and k, m or g",
                      suggest(text, size_habits, size_units), parse_size_bytes);
    return scaled(text, *d, *scale, 1, Remainder::refuse);
}

Parsed<double> parse_percent(std::string_view text) {
    const auto d = split(text);
    if (!d || d->unit != "%")
        return refuse(text, " is not a percentage: write a number and %", suggest(text, percent_habits, {}),
                      parse_percent);
    if (d->decimals > 4)
        return bad(quote(text) + " has more than four decimals");
    return static_cast<double>(d->digits) / static_cast<double>(100 * power_of_ten(d->decimals));
}

std::string print_rate(uint64_t bytes_per_s) {
    static constexpr Unit units[] = {
        {"tbit", tera}, {"gbit", giga}, {"mbit", mega}, {"kbit", kilo}, {"bit", 1}};
    return print(static_cast<u128>(bytes_per_s) * 8, units);
}

std::string print_duration(uint64_t ns) {
    static constexpr Unit units[] = {{"s", giga}, {"ms", mega}, {"us", kilo}, {"ns", 1}};
    return print(ns, units);
}

std::string print_size(uint64_t bytes) {
    static constexpr Unit units[] = {{"gb", gibi}, {"mb", mebi}, {"kb", kibi}, {"b", 1}};
    return print(bytes, units);
}

std::string print_percent(double fraction) {
    const auto ten_thousandths = static_cast<uint64_t>(std::llround(fraction * 1'000'000));
    std::string decimals = std::to_string(10'000 + ten_thousandths % 10'000).substr(1);
    decimals.erase(decimals.find_last_not_of('0') + 1);
    const std::string whole = std::to_string(ten_thousandths / 10'000);
    return decimals.empty() ? whole + "%" : whole + "." + decimals + "%";
}

} // namespace sluice
