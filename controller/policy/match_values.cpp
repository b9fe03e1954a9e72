#include "policy/match_values.hpp"

#include <algorithm>
#include <charconv>

#include <arpa/inet.h>

#include "core/text.hpp"

namespace sluice {
namespace {

// Decimal digits only, no leading zero.
std::optional<unsigned> number(std::string_view text, unsigned most) {
    unsigned value = 0;
    const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (status != std::errc{} || end != text.data() + text.size() || value > most)
        return std::nullopt;
    if (text.size() > 1 && text.front() == '0')
        return std::nullopt;
    return value;
}

std::optional<uint8_t> read_number(Reader &r, const Node &node, std::string_view what,
                                   std::span<const NamedNumber> names, uint8_t most) {
    const auto text = r.scalar(node, what);
    if (!text)
        return std::nullopt;
    if (const auto value = number(*text, most); value && !node.quoted)
        return static_cast<uint8_t>(*value);
    std::vector<std::string_view> words;
    for (const NamedNumber &n : names) {
        if (n.name == *text)
            return n.number;
        words.push_back(n.name);
    }
    const bool quoted_number = node.quoted && number(*text, most);
    r.error(node,
            quote(*text) + " is not " + std::string(what) + ": write a name, or a number from 0 to " +
                std::to_string(most) + (quoted_number ? " without quotes" : ""),
            quoted_number ? std::string(*text) : closest(*text, words));
    return std::nullopt;
}

std::string print_address(const Prefix &p) {
    char text[INET6_ADDRSTRLEN] = {};
    inet_ntop(p.family == 4 ? AF_INET : AF_INET6, p.address.data(), text, sizeof text);
    return std::string(text) + "/" + std::to_string(p.length);
}

// Clears what the prefix length does not cover; true when there was something to clear.
bool clear_host_bits(Prefix &p) {
    const Prefix before = p;
    for (unsigned i = 0; i < p.address.size(); i++) {
        const int bits = std::clamp(p.length - static_cast<int>(8 * i), 0, 8);
        p.address[i] &= static_cast<uint8_t>(0xff00 >> bits);
    }
    return p.address != before.address;
}

std::optional<Prefix> parse_address(std::string_view text) {
    const std::string address(text);
    Prefix p;
    if (inet_pton(AF_INET, address.c_str(), p.address.data()) == 1)
        return p;
    p.family = 6;
    if (inet_pton(AF_INET6, address.c_str(), p.address.data()) == 1)
        return p;
    return std::nullopt;
}

} // namespace

std::vector<uint8_t> read_numbers(Reader &r, const Node &node, std::string_view what,
                                  std::span<const NamedNumber> names, uint8_t most) {
    std::vector<uint8_t> out;
    for (const Node &item : r.one_or_many(node, what)) {
        const auto value = read_number(r, item, what, names, most);
        if (value && std::find(out.begin(), out.end(), *value) == out.end())
            out.push_back(*value);
    }
    return out;
}

std::optional<Prefix> read_prefix(Reader &r, const Node &node) {
    const auto text = r.scalar(node, "an address prefix such as 203.0.113.0/24");
    if (!text)
        return std::nullopt;
    const size_t slash = text->find('/');
    auto prefix = parse_address(text->substr(0, slash));
    if (!prefix) {
        r.error(node, quote(*text) + " is not an IPv4 or IPv6 prefix");
        return std::nullopt;
    }
    const unsigned whole = prefix->family == 4 ? 32 : 128;
    const auto length = slash == std::string_view::npos ? whole : number(text->substr(slash + 1), whole);
    if (!length) {
        r.error(node, quote(*text) + " needs a prefix length from 0 to " + std::to_string(whole));
        return std::nullopt;
    }
    prefix->length = static_cast<uint8_t>(*length);
    if (clear_host_bits(*prefix)) {
        r.error(node, quote(*text) + " has bits set after the prefix length", print_address(*prefix));
        return std::nullopt;
    }
    return prefix;
}

std::vector<Prefix> read_prefixes(Reader &r, const Node &node) {
    std::vector<Prefix> out;
    for (const Node &item : r.one_or_many(node, "address prefixes"))
        if (const auto prefix = read_prefix(r, item))
            out.push_back(*prefix);
    return out;
}

std::optional<PortRange> read_range(Reader &r, const Node &node, std::string_view what, uint16_t most) {
    const auto text = r.scalar(node, std::string(what) + " such as 443, or a range such as 1000-2000");
    if (!text)
        return std::nullopt;
    const size_t dash = text->find('-');
    const auto first = number(text->substr(0, dash), most);
    const auto last = dash == std::string_view::npos ? first : number(text->substr(dash + 1), most);
    if (!first || !last || (node.quoted && dash == std::string_view::npos))
        r.error(node,
                quote(*text) + " is not " + std::string(what) + ": write a number from 0 to " +
                    std::to_string(most) + (node.quoted ? " without quotes" : "") +
                    ", or a range such as 1000-2000",
                node.quoted && first ? std::string(*text) : "");
    else if (*first > *last)
        r.error(node, quote(*text) + " ends before it begins",
                std::to_string(*last) + "-" + std::to_string(*first));
    else
        return PortRange{static_cast<uint16_t>(*first), static_cast<uint16_t>(*last)};
    return std::nullopt;
}

} // namespace sluice
