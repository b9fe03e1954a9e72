// Quantities of any spelling: what is understood prints as something that is understood the same way.
#include "core/units.hpp"
#include "fuzz.hpp"

namespace sluice::fuzz {
namespace {

template <class T> void check_refusal(const Parsed<T> &parsed) {
    require(parsed.has_value() || !parsed.error().what.empty(), "a refusal says why");
}

void check_rate(std::string_view text) {
    const auto rate = parse_rate(text);
    check_refusal(rate);
    if (!rate)
        return;
    const auto again = parse_rate(print_rate(rate->bytes_per_s));
    require(again && again->bytes_per_s == rate->bytes_per_s, "a rate survives printing");
}

template <class Parse, class Print>
void check(std::string_view text, Parse parse, Print print, const char *what) {
    const auto value = parse(text);
    check_refusal(value);
    if (!value)
        return;
    const auto again = parse(print(*value));
    require(again && *again == *value, what);
}

} // namespace
} // namespace sluice::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    using namespace sluice;
    const auto text = fuzz::text_of(data, size);
    fuzz::check_rate(text);
    fuzz::check(text, parse_duration_ns, print_duration, "a duration survives printing");
    fuzz::check(text, parse_size_bytes, print_size, "a size survives printing");
    fuzz::check_refusal(parse_percent(text));
    return 0;
}
