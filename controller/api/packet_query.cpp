#include "api/packet_query.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

#include <arpa/inet.h>

#include "policy/names.hpp"

namespace sluice {
namespace {

using Query = std::map<std::string, std::string>;

constexpr uint16_t kTypicalLength = 1000;
constexpr uint8_t kTcp = 6;

std::string text_of(const Query &query, const std::string &name) {
    const auto found = query.find(name);
    return found == query.end() ? "" : found->second;
}

Result<uint16_t> number(const Query &query, const std::string &name, unsigned most) {
    const std::string text = text_of(query, name);
    unsigned value = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
    if (read.ec != std::errc() || read.ptr != text.data() + text.size() || value > most)
        return fail(name + "=" + text + " is not a number up to " + std::to_string(most));
    return static_cast<uint16_t>(value);
}

// A word of the policy file, or a number.
Result<uint8_t> named(const Query &query, const std::string &name, std::span<const NamedNumber> names,
                      unsigned most) {
    std::string text = text_of(query, name);
    std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
    const auto found = std::ranges::find(names, text, &NamedNumber::name);
    if (found != names.end())
        return found->number;
    return number(query, name, most).map([](uint16_t value) { return static_cast<uint8_t>(value); });
}

Result<int> read_address(const Query &query, const std::string &name, std::array<uint8_t, 16> &address) {
    const std::string text = text_of(query, name);
    if (inet_pton(AF_INET, text.c_str(), address.data()) == 1)
        return 4;
    if (inet_pton(AF_INET6, text.c_str(), address.data()) == 1)
        return 6;
    return fail(name + "=" + text + " is not an IPv4 or IPv6 address");
}

Result<> read_addresses(const Query &query, PacketKey &key) {
    const auto src = read_address(query, "src", key.src), dst = read_address(query, "dst", key.dst);
    if (!src || !dst)
        return tl::unexpected(src ? dst.error() : src.error());
    if (*src != *dst)
        return fail("src and dst are of different families");
    key.family = *src;
    return {};
}

Result<> read_transport(const Query &query, PacketKey &key) {
    const bool ports = query.contains("sport") || query.contains("dport");
    if (query.contains("proto")) {
        const auto proto = named(query, "proto", protocol_names(), 255);
        if (!proto)
            return tl::unexpected(proto.error());
        key.proto = *proto;
    } else if (ports) {
        key.proto = kTcp;
    }
    key.has_ports = protocol_has_ports(key.proto);
    if (ports && !key.has_ports)
        return fail("proto=" + text_of(query, "proto") + " has no ports");
    for (auto [name, port] : {std::pair{"sport", &key.sport}, std::pair{"dport", &key.dport}})
        if (query.contains(name)) {
            const auto value = number(query, name, 65535);
            if (!value)
                return tl::unexpected(value.error());
            *port = *value;
        }
    return {};
}

Result<> read_rest(const Query &query, PacketKey &key) {
    const auto take = [&](const char *name, unsigned most, auto store) -> Result<> {
        if (!query.contains(name))
            return {};
        const auto value = number(query, name, most);
        if (!value)
            return tl::unexpected(value.error());
        store(*value);
        return {};
    };
    key.in = text_of(query, "in");
    key.length = kTypicalLength;
    if (query.contains("dscp")) {
        const auto dscp = named(query, "dscp", dscp_names(), 63);
        if (!dscp)
            return tl::unexpected(dscp.error());
        key.dscp = *dscp;
    }
    return take("vlan", 4094, [&](uint16_t v) { key.vlan = v; })
        .and_then([&] { return take("pcp", 7, [&](uint16_t v) { key.pcp = static_cast<uint8_t>(v); }); })
        .and_then([&] { return take("length", 65535, [&](uint16_t v) { key.length = v; }); });
}

} // namespace

Result<PacketKey> packet_key(const Query &query) {
    constexpr std::array known{"src",  "dst",  "sport", "dport",  "proto",
                               "dscp", "vlan", "pcp",   "length", "in"};
    for (const auto &[name, value] : query)
        if (std::ranges::find(known, name) == known.end())
            return fail("there is no " + name, "src, dst, sport, dport, proto, dscp, vlan, pcp, length, in");
    PacketKey key;
    auto read = read_addresses(query, key).and_then([&] { return read_transport(query, key); }).and_then([&] {
        return read_rest(query, key);
    });
    if (!read)
        return tl::unexpected(read.error());
    return key;
}

} // namespace sluice
