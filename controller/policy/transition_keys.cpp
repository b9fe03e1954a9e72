// `transitions:` and what is directly under each.
#include <algorithm>
#include <set>

#include <sluice/abi.h>

#include "core/text.hpp"
#include "policy/names.hpp"
#include "policy/sections.hpp"

namespace sluice {
namespace {

constexpr size_t most_transitions = SLUICE_MAX_TRANSITIONS, most_matches = SLUICE_MAX_RULES;

// An illegal name leaves an empty one, so that the names stay in step with the nodes.
void read_from(Reader &r, const Node &node, Transition &t) {
    for (const Node &item : r.one_or_many(node, "`from`"))
        t.from.push_back(r.identifier(item).value_or(""));
}

void read_overflow(Reader &r, const Node &node, Transition &t) {
    t.overflow_pos = node.pos;
    for (const Node &item : r.one_or_many(node, "`overflow`"))
        t.overflow.push_back(r.identifier(item).value_or(""));
    if (t.overflow.size() > SLUICE_MAX_OVERFLOW)
        r.error(node, "`overflow` names at most " + std::to_string(SLUICE_MAX_OVERFLOW) + " ports");
}

void read_flowlet(Reader &r, const Node &node, Transition &t) {
    constexpr uint64_t longest_ns = 500'000'000; // of what fits into sluice_flow.away
    if (r.is_auto(node))
        return;
    t.flowlet_ns = r.duration_ns(node).value_or(t.flowlet_ns);
    if (t.flowlet_ns > longest_ns)
        r.error(node, "`flowlet` is at most 500ms");
}

void check_names(Reader &r, const Transition &t) {
    std::set<std::string> names;
    const auto check = [&](const std::string &name, SourcePos pos) {
        if (!name.empty() && !names.insert(name).second)
            r.error_at(pos, "a second class " + quote(name) + " in this transition");
    };
    for (const auto &g : t.groups)
        check(g.name, g.pos);
    for (const auto &c : t.classes)
        check(c.name, c.pos);
}

void check_classes(Reader &r, const Node &node, const Transition &t) {
    size_t matches = 0;
    check_names(r, t);
    for (size_t i = 0; i < t.classes.size(); i++) {
        const TrafficClass &c = t.classes[i];
        if (c.name == default_class && i + 1 < t.classes.size())
            r.error_at(c.pos, "class `default` must be the last: the classes after it would get nothing");
        if (matches <= most_matches && matches + c.match.size() > most_matches)
            r.error_at(c.pos,
                       "a transition has at most " + std::to_string(most_matches) + " match entries in all");
        matches += c.match.size();
    }
    const bool has_default = std::any_of(t.classes.begin(), t.classes.end(),
                                         [](const TrafficClass &c) { return c.name == default_class; });
    if (!t.classes.empty() && !has_default && node.children.back().kind == Node::Kind::map)
        r.error(node.children.back(),
                "the last class must be named `default`: it takes what the others do not match",
                "- {name: default}");
}

constexpr Row<Transition> rows[] = {
    {{.name = "from",
      .type = Type::port_names,
      .need = Need::required,
      .example = "[lan, guest]",
      .meaning = "The port or ports where frames arrive."},
     read_from},
    {{.name = "to",
      .type = Type::port_name,
      .need = Need::required,
      .example = "wan",
      .meaning = "The port that frames leave by, whose queue this is about."},
     [](Reader &r, const Node &n, Transition &t) { t.to = r.identifier(n).value_or(""); }},
    {{.name = "forward",
      .type = Type::word,
      .fallback = "fib",
      .example = "xconnect",
      .meaning =
          "How the way is found: `fib` asks the kernel's routes and neighbours, `xconnect` sends every frame "
          "of one port to the other, `library` leaves it to an XDP program of your own, which asks sluice "
          "for "
          "verdicts.",
      .words = forward_words},
     [](Reader &r, const Node &n, Transition &t) { read_word(r, n, forward_words, t.forward); }},
    {{.name = "mode",
      .type = Type::word,
      .fallback = "enforce",
      .example = "shadow",
      .meaning = "`shadow` computes and counts every verdict and forwards all the same.",
      .words = mode_words},
     [](Reader &r, const Node &n, Transition &t) { read_word(r, n, mode_words, t.mode); }},
    {{.name = "isolate",
      .type = Type::word,
      .fallback = "flow",
      .example = "dual-dsthost",
      .meaning =
          "Between whom the queue is fair, in CAKE's words: flows (5-tuples); hosts by source or "
          "destination address, or pairs of `hosts`; `dual-srchost` and `dual-dsthost`: hosts first, then "
          "the flows of each; `triple-isolate`: by the side of a flow that has more flows; or nobody.",
      .words = isolate_words},
     [](Reader &r, const Node &n, Transition &t) { read_word(r, n, isolate_words, t.isolate); }},
    {{.name = "aqm",
      .type = Type::section,
      .example = "{target: 5ms, interval: 100ms}",
      .meaning = "The law that decides on marks and drops.",
      .section = "aqm"},
     [](Reader &r, const Node &n, Transition &t) { read_aqm(r, n, t.aqm); }},
    {{.name = "classes",
      .type = Type::classes,
      .fallback = "[{name: default}]",
      .example = "[{name: voice, match: [{dscp: ef}], priority: 0, ceil: 10%}, {name: default}]",
      .meaning =
          "Classes of traffic, first match wins. The last is named `default`. Or one word for a set of "
          "classes by DSCP, with the code points and weights of CAKE's tins.",
      .words = preset_words,
      .section = "class"},
     [](Reader &r, const Node &n, Transition &t) {
         read_classes(r, n, t);
         check_classes(r, n, t);
     }},
    {{.name = "tenants",
      .type = Type::section,
      .example = "{by: dst, list: [{name: alice, match: 203.0.113.0/28, ceil: 50mbit}]}",
      .meaning = "Who shares the port: each tenant has its share, and all classes to itself.",
      .section = "tenants"},
     [](Reader &r, const Node &n, Transition &t) { read_tenants(r, n, t); }},
    {{.name = "overflow",
      .type = Type::port_names,
      .example = "[lte]",
      .meaning =
          "Ports, in order, that take what `reroute` in `when_full` sends there. Each needs a transition of "
          "its own from the same ports."},
     read_overflow},
    {{.name = "flowlet",
      .type = Type::duration_or_auto,
      .fallback = "50ms",
      .example = "20ms",
      .meaning = "A flow that was rerouted or spilled comes back to `to` after a pause of this length, "
                 "so that its packets stay in order: more than the ways differ in delay."},
     read_flowlet},
    {{.name = "on_controller_loss",
      .type = Type::word,
      .fallback = "keep",
      .example = "bypass",
      .meaning = "When the daemon is gone: `keep` the last policy in the data plane, or `bypass`: all frames "
                 "go to the kernel.",
      .words = loss_words},
     [](Reader &r, const Node &n, Transition &t) { read_word(r, n, loss_words, t.on_controller_loss); }},
};

} // namespace

std::vector<Transition> read_transitions(Reader &r, const Node &node) {
    std::vector<Transition> transitions;
    if (!r.want_list(node, "`transitions`"))
        return transitions;
    if (node.children.size() > most_transitions)
        r.error(node.children[most_transitions],
                "a policy has at most " + std::to_string(most_transitions) + " transitions");
    for (const Node &item : node.children) {
        Transition t;
        t.pos = item.pos;
        read_rows<Transition>(r, item, "a transition", rows, t);
        if (!item.find("classes")) {
            t.classes.emplace_back();
            t.classes.back().name = default_class;
        }
        transitions.push_back(std::move(t));
    }
    return transitions;
}

Section transition_section() {
    return section_of<Transition>("transition", "A transition: `transitions[]`", rows);
}

} // namespace sluice
