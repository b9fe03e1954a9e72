// Rates, durations, sizes, percentages: what is read, what is refused, and that printing is undone by
// parsing.
#include "core/units.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "core/sha256.hpp"
#include "core/text.hpp"

namespace sluice {
namespace {

struct Read {
    const char *text;
    uint64_t value;
};

struct Refused {
    const char *text, *suggestion;
};

TEST(Rate, reads_the_words_of_tc) {
    const Read cases[] = {
        {"50mbit", 6'250'000},
        {"1.5gbit", 187'500'000},
        {"100kbit", 12'500},
        {"8bit", 1},
        {"9bit", 1}, // rounded down
        {"1kibit", 128},
        {"1mibit", 131'072},
        {"1gibit", 134'217'728},
        {"1tbit", 125'000'000'000},
        {"50Mbit", 6'250'000},
        {"50MBIT", 6'250'000},
        {"0mbit", 0},
    };
    for (const Read &c : cases) {
        const auto rate = parse_rate(c.text);
        ASSERT_TRUE(rate) << c.text;
        EXPECT_EQ(rate->bytes_per_s, c.value) << c.text;
        EXPECT_FALSE(rate->written_in_bytes) << c.text;
    }
}

TEST(Rate, tells_bytes_from_bits) {
    const Read cases[] = {
        {"8bps", 8}, {"6kbps", 6'000}, {"6mbps", 6'000'000}, {"6MBps", 6'000'000}, {"1gbps", 1'000'000'000}};
    for (const Read &c : cases) {
        const auto rate = parse_rate(c.text);
        ASSERT_TRUE(rate) << c.text;
        EXPECT_EQ(rate->bytes_per_s, c.value) << c.text;
        EXPECT_TRUE(rate->written_in_bytes) << c.text;
    }
}

TEST(Rate, refuses_with_the_right_spelling) {
    const Refused cases[] = {
        {"50 Mbps", "50mbit"},
        {"50Mbps", "50mbit"},
        {"50 mbit", "50mbit"},
        {"50mb", "50mbit"},
        {"50Mb/s", "50mbit"},
        {"50Mbit/s", "50mbit"},
        {"1,5gbit", "1.5gbit"},
        {"1.5 G", "1.5gbit"},
        {"100 kbits", "100kbit"},
        {"2 MiBit", "2mibit"},
        {"50", ""},
        {"mbit", ""},
        {"", ""},
        {"-5mbit", ""},
        {"1e3mbit", ""},
        {".5mbit", ""},
        {"5.mbit", ""},
        {"0x10mbit", ""},
        {"5 parsec", ""},
    };
    for (const Refused &c : cases) {
        const auto rate = parse_rate(c.text);
        ASSERT_FALSE(rate) << c.text;
        EXPECT_EQ(rate.error().suggestion, c.suggestion) << c.text;
        EXPECT_NE(rate.error().what.find(c.text), std::string::npos);
    }
}

TEST(Rate, refuses_what_does_not_fit) {
    EXPECT_TRUE(parse_rate("147573952tbit")) << "just below 2^64 bytes per second";
    EXPECT_FALSE(parse_rate("147573953tbit"));
    EXPECT_FALSE(parse_rate("9999999999999999999999bit"));
    EXPECT_FALSE(parse_rate("1.0000000000mbit")) << "ten decimals";
    EXPECT_FALSE(parse_rate("0.001kbit")) << "less than a byte per second must not become zero";
}

TEST(Duration, reads_and_refuses) {
    const Read cases[] = {{"5ms", 5'000'000}, {"100us", 100'000},      {"1s", 1'000'000'000},
                          {"20ns", 20},       {"1.5s", 1'500'000'000}, {"0.25us", 250},
                          {"0s", 0}};
    for (const Read &c : cases)
        EXPECT_EQ(parse_duration_ns(c.text).value_or(~0ull), c.value) << c.text;

    const Refused refused[] = {
        {"5 ms", "5ms"}, {"5", "5ms"},  {"5msec", "5ms"}, {"100\u00b5s", "100us"}, {"2 seconds", "2s"},
        {"5MS", "5ms"},  {"0.5ns", ""}, {"5m", ""},       {"18446744074s", ""},    {"ms", ""},
    };
    for (const Refused &c : refused) {
        const auto ns = parse_duration_ns(c.text);
        ASSERT_FALSE(ns) << c.text;
        EXPECT_EQ(ns.error().suggestion, c.suggestion) << c.text;
    }
    EXPECT_TRUE(parse_duration_ns("18446744073s"));
}

TEST(Size, reads_and_refuses) {
    const Read cases[] = {{"1500", 1500},    {"1500b", 1500}, {"15k", 15'360},       {"64kb", 65'536},
                          {"1m", 1'048'576}, {"1.5kb", 1536}, {"2GB", 2'147'483'648}};
    for (const Read &c : cases)
        EXPECT_EQ(parse_size_bytes(c.text).value_or(~0ull), c.value) << c.text;
    const Refused refused[] = {
        {"64 KiB", "64kb"}, {"10 bytes", "10b"}, {"1.5b", ""}, {"17179869184g", ""}, {"x", ""}};
    for (const Refused &c : refused) {
        const auto bytes = parse_size_bytes(c.text);
        ASSERT_FALSE(bytes) << c.text;
        EXPECT_EQ(bytes.error().suggestion, c.suggestion) << c.text;
    }
}

TEST(Percent, reads_and_refuses) {
    EXPECT_EQ(parse_percent("10%").value_or(-1), 0.1);
    EXPECT_EQ(parse_percent("12.5%").value_or(-1), 0.125);
    EXPECT_EQ(parse_percent("100%").value_or(-1), 1.0);
    EXPECT_EQ(parse_percent("0.0001%").value_or(-1), 0.000001);
    EXPECT_FALSE(parse_percent("0.00001%"));
    EXPECT_FALSE(parse_percent("-1%"));
    EXPECT_EQ(parse_percent("10").error().suggestion, "10%");
    EXPECT_EQ(parse_percent("10 %").error().suggestion, "10%");
}

TEST(Print, is_canonical) {
    EXPECT_EQ(print_rate(6'250'000), "50mbit");
    EXPECT_EQ(print_rate(187'500'000), "1.5gbit");
    EXPECT_EQ(print_rate(1), "8bit");
    EXPECT_EQ(print_rate(0), "0bit");
    EXPECT_EQ(print_duration(1'500'000'000), "1.5s");
    EXPECT_EQ(print_duration(1'000'001), "1000.001us");
    EXPECT_EQ(print_size(65'536), "64kb");
    EXPECT_EQ(print_size(1500), "1500b");
    EXPECT_EQ(print_percent(0.125), "12.5%");
    EXPECT_EQ(print_percent(1), "100%");
}

RC_GTEST_PROP(Print, rate_round_trips, (uint64_t bytes_per_s)) {
    RC_ASSERT(parse_rate(print_rate(bytes_per_s)).value().bytes_per_s == bytes_per_s);
}

// Round figures are what people write, and what a random number never is.
RC_GTEST_PROP(Print, round_figures_round_trip, ()) {
    const auto value = *rc::gen::inRange<uint64_t>(0, 100'000);
    const auto zeros = *rc::gen::inRange(0, 14);
    const auto shift = *rc::gen::inRange(0, 40);
    uint64_t decimal = value;
    for (int i = 0; i < zeros; i++)
        decimal *= 10;
    RC_ASSERT(parse_rate(print_rate(decimal)).value().bytes_per_s == decimal);
    RC_ASSERT(parse_duration_ns(print_duration(decimal)).value() == decimal);
    RC_ASSERT(parse_size_bytes(print_size(value << shift)).value() == value << shift);
}

RC_GTEST_PROP(Print, duration_round_trips, (uint64_t ns)) {
    RC_ASSERT(parse_duration_ns(print_duration(ns)).value() == ns);
}

RC_GTEST_PROP(Print, size_round_trips, (uint64_t bytes)) {
    RC_ASSERT(parse_size_bytes(print_size(bytes)).value() == bytes);
}

RC_GTEST_PROP(Print, percent_round_trips, ()) {
    const double fraction = *rc::gen::inRange(0, 2'000'001) / 1e6;
    RC_ASSERT(parse_percent(print_percent(fraction)).value() == fraction);
}

// Whatever the text, the answer is a value or a reason; a suggestion is always legal itself.
RC_GTEST_PROP(Parse, suggestions_are_legal, ()) {
    const auto number = *rc::gen::container<std::string>(rc::gen::element('0', '1', '9', '.', ','));
    const auto unit = *rc::gen::container<std::string>(
        rc::gen::element(' ', 'k', 'm', 'G', 'b', 'B', 'i', 't', 'p', 's', '/', 'u', 'e', 'c', '%'));
    const std::string text = number + unit;
    if (const auto r = parse_rate(text); !r && !r.error().suggestion.empty())
        RC_ASSERT(parse_rate(r.error().suggestion).has_value());
    if (const auto d = parse_duration_ns(text); !d && !d.error().suggestion.empty())
        RC_ASSERT(parse_duration_ns(d.error().suggestion).has_value());
    if (const auto s = parse_size_bytes(text); !s && !s.error().suggestion.empty())
        RC_ASSERT(parse_size_bytes(s.error().suggestion).has_value());
    if (const auto p = parse_percent(text); !p && !p.error().suggestion.empty())
        RC_ASSERT(parse_percent(p.error().suggestion).has_value());
}

RC_GTEST_PROP(Parse, any_bytes_are_survived, (const std::string &text)) {
    (void)parse_rate(text);
    (void)parse_duration_ns(text);
    (void)parse_size_bytes(text);
    (void)parse_percent(text);
}

TEST(Text, closest_finds_misspellings) {
    const std::string_view words[] = {"device", "rate", "overhead", "ceil"};
    EXPECT_EQ(closest("devcie", words), "device");
    EXPECT_EQ(closest("Rate", words), "rate");
    EXPECT_EQ(closest("ceiling", words), "");
    EXPECT_EQ(closest("ciel", words), "ceil");
    EXPECT_EQ(closest("dev", words), "device");
    const std::string_view code_points[] = {"be", "ef"};
    EXPECT_EQ(closest("fe", code_points), "ef");
    EXPECT_EQ(closest("qq", words), "");
    EXPECT_EQ(closest("", words), "");
}

TEST(Text, quote_is_safe_to_print) {
    EXPECT_EQ(quote("a\x1b[31m"), "`a?[31m`");
    EXPECT_EQ(quote(std::string(59, 'x') + "\u00e9\u00e9"), "`" + std::string(59, 'x') + "...`");
}

TEST(Text, one_of_reads_like_a_sentence) {
    const std::string_view words[] = {"a", "b", "c"};
    EXPECT_EQ(one_of({words, 1}), "a");
    EXPECT_EQ(one_of({words, 2}), "a or b");
    EXPECT_EQ(one_of(words), "a, b or c");
}

TEST(Sha256, known_answers) { // FIPS 180-4 examples
    EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

} // namespace
} // namespace sluice
