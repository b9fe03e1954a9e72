// `classes:` of a transition and their `match:` entries.
#include <algorithm>

#include "core/text.hpp"
#include "policy/match_values.hpp"
#include "policy/sections.hpp"

namespace sluice {
namespace {

constexpr uint8_t highest_dscp = 63, highest_protocol = 255;

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
      .type = Type::prefix,
      .example = "2001:db8::/32",
      .meaning = "Source address, IPv4 or IPv6."},
     [](Reader &r, const Node &n, Match &m) { m.src = read_prefix(r, n); }},
    {{.name = "dst",
      .type = Type::prefix,
      .example = "203.0.113.0/24",
      .meaning = "Destination address, IPv4 or IPv6."},
     [](Reader &r, const Node &n, Match &m) { m.dst = read_prefix(r, n); }},
    {{.name = "sport",
      .type = Type::port_range,
      .example = "1000-2000",
      .meaning = "Source port. Without `proto` it holds for every protocol that has ports."},
     [](Reader &r, const Node &n, Match &m) { m.sport = read_port_range(r, n); }},
    {{.name = "dport",
      .type = Type::port_range,
      .example = "443",
      .meaning = "Destination port. Without `proto` it holds for every protocol that has ports."},
     [](Reader &r, const Node &n, Match &m) { m.dport = read_port_range(r, n); }},
};

void check_match(Reader &r, const Node &node, const Match &m) {
    if (node.children.empty())
        r.error(
            node,
            "an empty entry would match everything: name a criterion, or leave it to the class `default`");
    if (m.src && m.dst && m.src->family != m.dst->family)
        r.error(*node.find("dst"), "`src` and `dst` are of different IP versions: no packet can match");
    const bool portless =
        std::any_of(m.proto.begin(), m.proto.end(), [](uint8_t p) { return !protocol_has_ports(p); });
    if (portless && (m.sport || m.dport))
        r.error(*node.find(m.dport ? "dport" : "sport"), "`proto` names a protocol without ports");
}

void read_matches(Reader &r, const Node &node, TrafficClass &c) {
    if (!r.want_list(node, "`match`"))
        return;
    for (const Node &item : node.children) {
        Match m;
        m.pos = item.pos;
        if (read_rows<Match>(r, item, "a `match` entry", match_rows, m))
            check_match(r, item, m);
        c.match.push_back(std::move(m));
    }
}

void read_share(Reader &r, const Node &n, std::optional<uint64_t> &bytes_per_s,
                std::optional<double> &fraction) {
    if (const auto share = r.rate_or_percent(n)) {
        bytes_per_s = share->bytes_per_s;
        fraction = share->fraction;
    }
}

void read_verdicts(Reader &r, const Node &node, TrafficClass &c) {
    c.when_full.clear();
    for (const Node &item : r.one_or_many(node, "`when_full`")) {
        const auto i = r.word(item, verdict_words);
        if (!i)
            return;
        const auto v = static_cast<Verdict>(*i);
        if (std::find(c.when_full.begin(), c.when_full.end(), v) != c.when_full.end())
            r.error(item, quote(item.text) + " is named twice");
        c.when_full.push_back(v);
    }
    if (!c.when_full.empty() && c.when_full.back() != Verdict::drop)
        r.error(node, "`when_full` must end with `drop`, which is always possible");
}

constexpr Row<TrafficClass> rows[] = {
    {{.name = "name",
      .type = Type::identifier,
      .need = Need::required,
      .example = "voice",
      .meaning = "Name in metrics and messages. The last class is named `default` and takes the rest."},
     [](Reader &r, const Node &n, TrafficClass &c) { c.name = r.identifier(n).value_or(""); }},
    {{.name = "match",
      .type = Type::section_list,
      .example = "[{dscp: ef}, {proto: udp, dport: 5060}]",
      .meaning =
          "What belongs to the class: one entry must hold, and in it every criterion. Required except in "
          "`default`, which has none. At most 32 entries per transition.",
      .section = "match"},
     [](Reader &r, const Node &n, TrafficClass &c) { read_matches(r, n, c); }},
    {{.name = "priority",
      .type = Type::integer,
      .fallback = "1",
      .example = "0",
      .meaning = "Lower is served first; give such a class a `ceil`.",
      .least = 0,
      .most = 7},
     [](Reader &r, const Node &n, TrafficClass &c) {
         c.priority = static_cast<uint8_t>(r.integer(n, 0, 7).value_or(c.priority));
     }},
    {{.name = "weight",
      .type = Type::integer,
      .fallback = "1",
      .example = "4",
      .meaning = "Share among the busy classes of the same priority.",
      .least = 1,
      .most = 65535},
     [](Reader &r, const Node &n, TrafficClass &c) {
         c.weight = static_cast<uint32_t>(r.integer(n, 1, 65535).value_or(c.weight));
     }},
    {{.name = "min",
      .type = Type::rate_or_percent,
      .fallback = "none",
      .example = "5mbit",
      .meaning = "Rate that the class gets before weights count. A percentage is of the port's capacity."},
     [](Reader &r, const Node &n, TrafficClass &c) { read_share(r, n, c.min_bytes_per_s, c.min_fraction); }},
    {{.name = "ceil",
      .type = Type::rate_or_percent,
      .fallback = "none",
      .example = "10%",
      .meaning = "Rate that the class never exceeds."},
     [](Reader &r, const Node &n, TrafficClass &c) {
         read_share(r, n, c.ceil_bytes_per_s, c.ceil_fraction);
     }},
    {{.name = "when_full",
      .type = Type::words,
      .fallback = "[mark, drop]",
      .example = "drop",
      .meaning = "What happens to a packet that must not join the queue: the first that is possible. Ends "
                 "with `drop`.",
      .words = verdict_words},
     [](Reader &r, const Node &n, TrafficClass &c) { read_verdicts(r, n, c); }},
};

void check_class(Reader &r, const Node &node, const TrafficClass &c) {
    const Node *match = node.find("match");
    if (c.name == default_class && match)
        r.error(*match, "class `default` takes what no other class matches: it must not have `match`");
    if (c.name != default_class && !c.name.empty() && !match)
        r.error(node, "class " + quote(c.name) + " needs `match`: only `default` goes without");
}

} // namespace

std::vector<TrafficClass> read_classes(Reader &r, const Node &node) {
    std::vector<TrafficClass> classes;
    if (!r.want_list(node, "`classes`"))
        return classes;
    for (const Node &item : node.children) {
        TrafficClass c;
        c.pos = item.pos;
        if (read_rows<TrafficClass>(r, item, "a class", rows, c))
            check_class(r, item, c);
        classes.push_back(std::move(c));
    }
    return classes;
}

Section class_section() {
    return section_of<TrafficClass>("class", "A class: `transitions[].classes[]`", rows);
}

Section match_section() {
    return section_of<Match>("match", "A match entry: `transitions[].classes[].match[]`", match_rows);
}

} // namespace sluice
