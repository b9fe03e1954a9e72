// `match:` entries of a class.
#include <algorithm>

#include "core/text.hpp"
#include "policy/match_values.hpp"
#include "policy/sections.hpp"

namespace sluice {
namespace {

constexpr uint8_t highest_dscp = 63, highest_protocol = 255;
constexpr uint16_t highest_port = 65535, highest_vlan = 4095, longest_frame = 65535;

void read_pcp(Reader &r, const Node &node, Match &m) {
    for (const Node &item : r.one_or_many(node, "`pcp`"))
        if (const auto value = r.integer(item, 0, 7))
            m.pcp.push_back(static_cast<uint8_t>(*value));
}

void read_in(Reader &r, const Node &node, Match &m) {
    for (const Node &item : r.one_or_many(node, "`in`"))
        m.in.push_back(r.identifier(item).value_or(""));
}

constexpr Row<Match> match_rows[] = {
    {{.name = "dscp",
      .type = Type::dscp,
      .example = "[ef, cs5]",
      .meaning = "Differentiated services code point, by its RFC name or 0..63."},
     [](Reader &r, const Node &n, Match &m) {
         m.dscp = read_numbers(r, n, "a DSCP", dscp_names(), highest_dscp);
     }},
    {{.name = "proto",
      .type = Type::protocol,
      .example = "tcp",
      .meaning = "IP protocol, by name or 0..255."},
     [](Reader &r, const Node &n, Match &m) {
         m.proto = read_numbers(r, n, "a protocol", protocol_names(), highest_protocol);
     }},
    {{.name = "src",
      .type = Type::prefixes,
      .example = "2001:db8::/32",
      .meaning = "Source address, IPv4 or IPv6."},
     [](Reader &r, const Node &n, Match &m) { m.src = read_prefixes(r, n); }},
    {{.name = "dst",
      .type = Type::prefixes,
      .example = "[203.0.113.0/24, \"2001:db8::/32\"]",
      .meaning = "Destination address, IPv4 or IPv6."},
     [](Reader &r, const Node &n, Match &m) { m.dst = read_prefixes(r, n); }},
    {{.name = "sport",
      .type = Type::port_range,
      .example = "1000-2000",
      .meaning = "Source port. Without `proto` it holds for every protocol that has ports."},
     [](Reader &r, const Node &n, Match &m) { m.sport = read_range(r, n, "a port", highest_port); }},
    {{.name = "dport",
      .type = Type::port_range,
      .example = "443",
      .meaning = "Destination port. Without `proto` it holds for every protocol that has ports."},
     [](Reader &r, const Node &n, Match &m) { m.dport = read_range(r, n, "a port", highest_port); }},
    {{.name = "vlan",
      .type = Type::vlan_range,
      .example = "100-199",
      .meaning = "VLAN id of the outermost tag that a frame arrives with; untagged frames do not match."},
     [](Reader &r, const Node &n, Match &m) { m.vlan = read_range(r, n, "a VLAN id", highest_vlan); }},
    {{.name = "pcp",
      .type = Type::numbers,
      .example = "[5, 6]",
      .meaning = "Priority code point of the outermost VLAN tag.",
      .least = 0,
      .most = 7},
     read_pcp},
    {{.name = "length",
      .type = Type::length_range,
      .example = "0-128",
      .meaning = "Bytes of the Ethernet frame, header included, VLAN tags, PPPoE and FCS not."},
     [](Reader &r, const Node &n, Match &m) { m.length = read_range(r, n, "a length", longest_frame); }},
    {{.name = "in",
      .type = Type::port_names,
      .example = "guest",
      .meaning = "The port that the frame came in by, one of `from`."},
     read_in},
};

bool one_family(const Match &m) {
    const auto has = [](const std::vector<Prefix> &list, int family) {
        return list.empty() ||
               std::any_of(list.begin(), list.end(), [&](const Prefix &p) { return p.family == family; });
    };
    return (has(m.src, 4) && has(m.dst, 4)) || (has(m.src, 6) && has(m.dst, 6));
}

void check_match(Reader &r, const Node &node, const Match &m) {
    if (node.children.empty())
        r.error(
            node,
            "an empty entry would match everything: name a criterion, or leave it to the class `default`");
    if (!one_family(m))
        r.error(*node.find("dst"), "`src` and `dst` are of different IP versions: no packet can match");
    const bool portless =
        std::any_of(m.proto.begin(), m.proto.end(), [](uint8_t p) { return !protocol_has_ports(p); });
    if (portless && (m.sport || m.dport))
        r.error(*node.find(m.dport ? "dport" : "sport"), "`proto` names a protocol without ports");
}

} // namespace

std::vector<Match> read_matches(Reader &r, const Node &node) {
    std::vector<Match> matches;
    if (!r.want_list(node, "`match`"))
        return matches;
    for (const Node &item : node.children) {
        Match m;
        m.pos = item.pos;
        if (read_rows<Match>(r, item, "a `match` entry", match_rows, m))
            check_match(r, item, m);
        matches.push_back(std::move(m));
    }
    return matches;
}

Section match_section() {
    return section_of<Match>("match", "A match entry: `transitions[].classes[].match[]`", match_rows);
}

} // namespace sluice
