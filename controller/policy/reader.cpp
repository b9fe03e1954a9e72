#include "policy/reader.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "core/text.hpp"
#include "core/units.hpp"

namespace sluice {
namespace {

constexpr uint64_t fastest_bytes_per_s = 400'000'000'000 / 8;
constexpr uint64_t shortest_ns = 1'000, longest_ns = 10'000'000'000;
constexpr size_t longest_name = 32;
constexpr size_t longest_device = 15; // IFNAMSIZ - 1

std::string_view kind_name(const Node &node) {
    switch (node.kind) {
    case Node::Kind::null:
        return "nothing";
    case Node::Kind::list:
        return "a list";
    case Node::Kind::map:
        return "a map";
    case Node::Kind::scalar:
        break;
    }
    return "a single value";
}

bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// Words that some YAML readers take for a truth value or for nothing.
bool is_yaml_literal(std::string_view text) {
    static constexpr std::array<std::string_view, 8> literals = {"true", "false", "yes",  "no",
                                                                 "on",   "off",   "null", "~"};
    return std::find(literals.begin(), literals.end(), lower(text)) != literals.end();
}

} // namespace

void Reader::error(const Node &at, std::string message, std::string suggestion) {
    report.error(at.pos, std::move(message), std::move(suggestion));
}

void Reader::warning(const Node &at, std::string message, std::string suggestion) {
    report.warning(at.pos, std::move(message), std::move(suggestion));
}

void Reader::error_at(SourcePos pos, std::string message) {
    report.error(pos, std::move(message));
}

void Reader::warning_at(SourcePos pos, std::string message) {
    report.warning(pos, std::move(message));
}

bool Reader::want_map(const Node &node, std::string_view what) {
    if (node.kind == Node::Kind::map)
        return true;
    error(node, std::string(what) + " must be a map (`key: value`), this is " + std::string(kind_name(node)));
    return false;
}

bool Reader::want_list(const Node &node, std::string_view what) {
    if (node.kind != Node::Kind::list)
        error(node,
              std::string(what) + " must be a list (`- item`), this is " + std::string(kind_name(node)));
    else if (node.children.empty())
        error(node, std::string(what) + " must not be empty");
    else
        return true;
    return false;
}

bool Reader::want_value(const Node &entry) {
    if (entry.kind != Node::Kind::null)
        return true;
    report.error(entry.key_pos, "key " + quote(entry.key) + " has no value");
    return false;
}

void Reader::unknown_key(const Node &entry, std::string_view what, std::span<const std::string_view> known) {
    report.error(entry.key_pos, "unknown key " + quote(entry.key) + " in " + std::string(what),
                 closest(entry.key, known));
}

void Reader::missing_key(const Node &map, std::string_view what, std::string_view key) {
    error(map, std::string(what) + " needs the key " + quote(key));
}

std::span<const Node> Reader::one_or_many(const Node &node, std::string_view what) {
    if (node.kind == Node::Kind::scalar)
        return {&node, 1};
    if (!want_list(node, what))
        return {};
    return node.children;
}

std::optional<std::string_view> Reader::scalar(const Node &node, std::string_view what) {
    if (node.kind == Node::Kind::scalar)
        return node.text;
    error(node, "expected " + std::string(what) + ", this is " + std::string(kind_name(node)));
    return std::nullopt;
}

std::optional<long> Reader::integer(const Node &node, long least, long most) {
    const auto text = scalar(node, "a whole number");
    if (!text)
        return std::nullopt;
    long value = 0;
    const auto [end, status] = std::from_chars(text->data(), text->data() + text->size(), value);
    const bool whole = status == std::errc{} && end == text->data() + text->size();
    if (whole && node.quoted)
        error(node, "a number must not be in quotes", std::to_string(value));
    else if (whole && text->size() > 1 && text->front() == '0')
        error(node, quote(*text) + " could be read as octal", std::to_string(value));
    else if (!whole && status != std::errc::result_out_of_range)
        error(node, quote(*text) + " is not a whole number");
    else if (!whole || value < least || value > most)
        error(node,
              quote(*text) + " is out of range: " + std::to_string(least) + " to " + std::to_string(most));
    else
        return value;
    return std::nullopt;
}

std::optional<bool> Reader::boolean(const Node &node) {
    const auto text = scalar(node, "true or false");
    if (!text)
        return std::nullopt;
    if (!node.quoted && (*text == "true" || *text == "false"))
        return *text == "true";
    const std::string word = lower(*text);
    std::string suggestion;
    if (word == "true" || word == "yes" || word == "on" || word == "1")
        suggestion = "true";
    else if (word == "false" || word == "no" || word == "off" || word == "0")
        suggestion = "false";
    error(node, (node.quoted ? "\"" + word + "\" in quotes" : quote(*text)) + " is not true or false",
          suggestion);
    return std::nullopt;
}

std::optional<std::string> Reader::identifier(const Node &node) {
    const auto text = scalar(node, "a name");
    if (!text)
        return std::nullopt;
    std::string name(*text);
    if (!node.quoted && is_yaml_literal(name))
        error(node, quote(name) + " has a meaning of its own in YAML: write it in quotes",
              "\"" + name + "\"");
    else if (check_identifier(node.pos, name))
        return name;
    return std::nullopt;
}

bool Reader::check_identifier(SourcePos pos, const std::string &name) {
    const bool legal = !name.empty() && name.size() <= longest_name && is_letter(name.front()) &&
                       std::all_of(name.begin(), name.end(), [](char c) {
                           return is_letter(c) || is_digit(c) || c == '_' || c == '-';
                       });
    if (!legal)
        report.error(pos, quote(name) +
                              " is not a name: a letter, then letters, digits, `_` or `-`, at most " +
                              std::to_string(longest_name) + " characters");
    return legal;
}

// The rule of dev_valid_name() in the kernel's net/core/dev.c.
std::optional<std::string> Reader::device(const Node &node) {
    const auto text = scalar(node, "the name of an interface");
    if (!text)
        return std::nullopt;
    const auto illegal = [](char c) {
        return c == '/' || c == ':' || static_cast<unsigned char>(c) <= ' ' || c == 0x7f;
    };
    if (text->empty() || *text == "." || *text == ".." || std::any_of(text->begin(), text->end(), illegal))
        error(node, quote(*text) + " cannot be the name of an interface");
    else if (text->size() > longest_device)
        error(node, quote(*text) +
                        " is too long for the name of an interface: " + std::to_string(text->size()) +
                        " characters, at most " + std::to_string(longest_device));
    else
        return std::string(*text);
    return std::nullopt;
}

std::optional<size_t> Reader::word(const Node &node, std::span<const std::string_view> words) {
    const auto text = scalar(node, one_of(words));
    if (!text)
        return std::nullopt;
    for (size_t i = 0; i < words.size(); i++)
        if (words[i] == *text)
            return i;
    error(node, quote(*text) + " is not " + one_of(words), closest(*text, words));
    return std::nullopt;
}

std::optional<uint64_t> Reader::rate(const Node &node) {
    const auto text = scalar(node, "a rate such as 50mbit");
    if (!text)
        return std::nullopt;
    const auto rate = parse_rate(*text);
    if (!rate) {
        error(node, rate.error().what, rate.error().suggestion);
        return std::nullopt;
    }
    const uint64_t value = rate->bytes_per_s;
    if (rate->written_in_bytes)
        warning(node, quote(*text) + " means bytes, as in tc: that is " + print_rate(value),
                lower(text->substr(0, text->size() - 2)) + "it");
    if (value == 0)
        error(node, "a rate of zero lets nothing pass");
    else if (value > fastest_bytes_per_s)
        error(node, quote(*text) + " is more than " + print_rate(fastest_bytes_per_s));
    else
        return value;
    return std::nullopt;
}

std::optional<Reader::Share> Reader::rate_or_percent(const Node &node) {
    const auto text = scalar(node, "a rate such as 5mbit, or a percentage");
    if (!text)
        return std::nullopt;
    if (!text->ends_with('%')) {
        const auto bytes_per_s = rate(node);
        return bytes_per_s ? std::optional(Share{*bytes_per_s, {}}) : std::nullopt;
    }
    const auto fraction = parse_percent(*text);
    if (!fraction)
        error(node, fraction.error().what, fraction.error().suggestion);
    else if (*fraction <= 0 || *fraction > 1)
        error(node, quote(*text) + " is not above 0% and up to 100%");
    else
        return Share{{}, *fraction};
    return std::nullopt;
}

std::optional<uint64_t> Reader::duration_ns(const Node &node) {
    const auto text = scalar(node, "a duration such as 5ms");
    if (!text)
        return std::nullopt;
    const auto ns = parse_duration_ns(*text);
    if (!ns)
        error(node, ns.error().what, ns.error().suggestion);
    else if (*ns < shortest_ns || *ns > longest_ns)
        error(node, quote(*text) + " is out of range: " + print_duration(shortest_ns) + " to " +
                        print_duration(longest_ns));
    else
        return *ns;
    return std::nullopt;
}

bool Reader::is_auto(const Node &node) const {
    return node.kind == Node::Kind::scalar && node.text == "auto";
}

} // namespace sluice
