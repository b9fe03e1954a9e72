// `classes:` of a transition: classes, and groups of classes.
#include <algorithm>

#include "core/text.hpp"
#include "policy/match_values.hpp"
#include "policy/sections.hpp"
#include "policy/share_keys.hpp"

namespace sluice {
namespace {

constexpr uint8_t highest_dscp = 63;

// As written: a class or a group, by whether it has `classes`.
struct Entry : TrafficClass {
    const Node *children = nullptr;
};

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
    if (c.when_full.empty())
        return;
    const auto mark = std::find(c.when_full.begin(), c.when_full.end(), Verdict::mark);
    if (c.when_full.back() != Verdict::drop)
        r.error(node, "`when_full` must end with `drop`, which is always possible");
    else if (mark != c.when_full.end() && mark != c.when_full.begin())
        r.error(node, "`mark` must come first in `when_full`: a marked packet joins the queue, and no other "
                      "way is needed");
}

void read_dscp(Reader &r, const Node &node, std::string_view key, std::optional<uint8_t> &out) {
    const auto values = read_numbers(r, node, "a DSCP", dscp_names(), highest_dscp);
    if (values.size() > 1)
        r.error(node, quote(key) + " takes one DSCP");
    else if (values.size() == 1)
        out = values.front();
}

// An IPv6 header, that of UDP or most of TCP's must be left to tell whose packet it was.
constexpr long least_trim = 64, most_trim = 9000;

constexpr Row<Trim> trim_rows[] = {
    {{.name = "size",
      .type = Type::integer,
      .fallback = "128",
      .example = "256",
      .meaning =
          "Bytes of the IP packet, headers included, that are left. Packets that are not longer are not "
          "trimmed.",
      .least = least_trim,
      .most = most_trim},
     [](Reader &r, const Node &n, Trim &t) {
         if (const auto v = r.integer(n, least_trim, most_trim))
             t.bytes = static_cast<uint16_t>(*v);
     }},
    {{.name = "dscp",
      .type = Type::dscp,
      .example = "cs6",
      .meaning = "DSCP of trimmed packets, by which receivers and routers know them; ECN stays as it is."},
     [](Reader &r, const Node &n, Trim &t) { read_dscp(r, n, "dscp", t.dscp); }},
};

constexpr Row<Entry> rows[] = {
    {{.name = "name",
      .type = Type::identifier,
      .need = Need::required,
      .example = "voice",
      .meaning = "Name in metrics and messages. The last class is named `default` and takes the rest."},
     [](Reader &r, const Node &n, Entry &c) { c.name = r.identifier(n).value_or(""); }},
    {{.name = "match",
      .type = Type::section_list,
      .example = "[{dscp: ef}, {proto: udp, dport: 5060}]",
      .meaning =
          "What belongs to the class: one entry must hold, and in it every criterion. Required except in "
          "`default` and in groups, which have none. At most 64 entries per transition; their number costs a "
          "packet nothing.",
      .section = "match"},
     [](Reader &r, const Node &n, Entry &c) { c.match = read_matches(r, n); }},
    share_row<Entry>(ShareKey::priority),
    share_row<Entry>(ShareKey::weight),
    share_row<Entry>(ShareKey::min),
    share_row<Entry>(ShareKey::ceil),
    {{.name = "when_full",
      .type = Type::words,
      .fallback = "[mark, drop]",
      .example = "drop",
      .meaning =
          "What happens to a packet that must not join the queue as it is: the first that is possible. "
          "`mark` comes first, `drop` last; see [below](#when-it-is-full).",
      .words = verdict_words},
     [](Reader &r, const Node &n, Entry &c) { read_verdicts(r, n, c); }},
    {{.name = "aqm",
      .type = Type::section,
      .example = "{law: pi2}",
      .meaning = "The law of this class, in place of the transition's: keys left out have their defaults.",
      .section = "aqm"},
     [](Reader &r, const Node &n, Entry &c) { read_aqm(r, n, c.aqm.emplace()); }},
    {{.name = "remark",
      .type = Type::dscp,
      .example = "cs1",
      .meaning = "DSCP to write into the packets of this class; ECN stays as it is."},
     [](Reader &r, const Node &n, Entry &c) { read_dscp(r, n, "remark", c.remark); }},
    {{.name = "trim",
      .type = Type::section,
      .example = "{size: 256, dscp: cs6}",
      .meaning = "What `trim` in `when_full` leaves of a packet.",
      .section = "trim"},
     [](Reader &r, const Node &n, Entry &c) { read_rows<Trim>(r, n, "`trim`", trim_rows, c.trim); }},
    {{.name = "classes",
      .type = Type::section_list,
      .example = "[{name: video, match: [{dscp: af41}]}, {name: audio, match: [{dscp: ef}]}]",
      .meaning = "Makes this a group: its classes share what it gets. Groups may hold groups.",
      .section = "class"},
     [](Reader &, const Node &n, Entry &c) { c.children = &n; }},
};

void check_entry(Reader &r, const Node &node, const Entry &c, bool nested) {
    const Node *match = node.find("match");
    if (c.name == default_class && match)
        r.error(*match, "class `default` takes what no other class matches: it must not have `match`");
    if (c.name == default_class && nested)
        r.error(node, "class `default` cannot be in a group");
    if (c.name == default_class && c.children)
        r.error(*c.children, "class `default` cannot be a group");
    if (c.children) {
        for (const char *key : {"match", "when_full", "aqm", "remark", "trim"})
            if (const Node *has = node.find(key))
                r.error(*has, "a group of classes has no " + quote(key) + ": give it to its classes");
    } else if (c.name != default_class && !c.name.empty() && !match) {
        r.error(node, "class " + quote(c.name) + " needs `match`: only `default` goes without");
    }
}

void read_list(Reader &r, const Node &node, std::optional<uint32_t> parent, Transition &t) {
    if (!r.want_list(node, "`classes`"))
        return;
    for (const Node &item : node.children) {
        Entry e;
        const Node *name = item.find("name");
        e.pos = name ? name->pos : item.pos;
        e.parent = parent;
        if (read_rows<Entry>(r, item, "a class", rows, e))
            check_entry(r, item, e, parent.has_value());
        if (!e.children) {
            t.classes.push_back(std::move(e));
            continue;
        }
        t.groups.push_back({static_cast<const Share &>(e), e.name, parent, e.pos});
        read_list(r, *e.children, static_cast<uint32_t>(t.groups.size() - 1), t);
    }
}

} // namespace

void read_classes(Reader &r, const Node &node, Transition &t) {
    if (node.kind != Node::Kind::scalar)
        return read_list(r, node, std::nullopt, t);
    const auto preset = r.word(node, preset_words);
    t.classes = preset_classes(preset.value_or(0));
    for (auto &c : t.classes)
        c.pos = node.pos;
}

Section trim_section() {
    return section_of<Trim>("trim", "What a trim leaves: `transitions[].classes[].trim`", trim_rows);
}

Section class_section() {
    return section_of<Entry>("class", "A class: `transitions[].classes[]`", rows);
}

} // namespace sluice
