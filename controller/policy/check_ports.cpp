#include <algorithm>
#include <map>
#include <set>

#include <sluice/abi.h>

#include "core/text.hpp"
#include "policy/check.hpp"
#include "policy/names.hpp"

namespace sluice {
namespace {

std::string line_of(SourcePos pos) {
    return "line " + std::to_string(pos.line);
}

// The items of `from` with their nodes; a single word counts as a list of one.
const Node &from_node(const Node &transition, size_t i) {
    const Node &from = entry_or_self(transition, "from");
    return from.kind == Node::Kind::list ? from.children[i] : from;
}

void check_devices(Reader &r, const Node &ports, const std::vector<Port> &list) {
    std::map<std::string, const Port *> by_device;
    for (size_t i = 0; i < list.size(); i++) {
        const Port &port = list[i];
        if (port.device.empty())
            continue;
        const auto [first, is_new] = by_device.emplace(port.device, &port);
        if (!is_new)
            r.error(entry_or_self(ports.children[i], "device"),
                    "device " + quote(port.device) + " already is port " + quote(first->second->name) + ", " +
                        line_of(first->second->pos));
    }
}

class Names {
  public:
    explicit Names(const Policy &policy) {
        for (const Port &port : policy.ports)
            names.push_back(port.name);
    }
    void check(Reader &r, const Node &at, const std::string &name) const {
        if (!name.empty() && std::find(names.begin(), names.end(), name) == names.end())
            r.error(at, "there is no port " + quote(name), closest(name, names));
    }

  private:
    std::vector<std::string_view> names;
};

void check_ends(Reader &r, const Node &node, const Transition &t, const Names &names) {
    names.check(r, entry_or_self(node, "to"), t.to);
    std::set<std::string> seen;
    for (size_t i = 0; i < t.from.size(); i++) {
        const Node &at = from_node(node, i);
        names.check(r, at, t.from[i]);
        if (t.from[i].empty())
            continue;
        if (t.from[i] == t.to)
            r.error(at, "port " + quote(t.to) + " cannot be both `from` and `to`");
        if (!seen.insert(t.from[i]).second)
            r.error(at, "port " + quote(t.from[i]) + " is named twice");
    }
    if (t.forward == Forward::xconnect && t.from.size() > 1)
        r.error(entry_or_self(node, "from"), "`xconnect` joins two ports: `from` must name exactly one");
}

void check_matches(Reader &r, const Transition &t) {
    for (const TrafficClass &c : t.classes)
        for (const Match &m : c.match)
            for (const std::string &in : m.in)
                if (!in.empty() && std::find(t.from.begin(), t.from.end(), in) == t.from.end())
                    r.error_at(m.pos,
                               "`in` names " + quote(in) + ", which is not in `from` of this transition");
}

// A wire whose second end takes what the first refuses.
bool is_overflow_wire(const Transition &t, const Transition &earlier) {
    return t.forward == Forward::xconnect && earlier.forward == Forward::xconnect &&
           std::find(earlier.overflow.begin(), earlier.overflow.end(), t.to) != earlier.overflow.end();
}

// Two transitions that both claim the frames of one port.
void check_claims(Reader &r, const Node &node, const Transition &t, const Transition &earlier) {
    for (size_t i = 0; i < t.from.size(); i++) {
        const std::string &from = t.from[i];
        if (from.empty() || std::find(earlier.from.begin(), earlier.from.end(), from) == earlier.from.end())
            continue;
        if (t.to == earlier.to)
            r.error(from_node(node, i), "the transition from " + quote(from) + " to " + quote(t.to) +
                                            " already is in " + line_of(earlier.pos));
        else if ((t.forward == Forward::library) != (earlier.forward == Forward::library))
            r.error(from_node(node, i),
                    "port " + quote(from) +
                        " runs a program of your own (`library`) and can have no other kind of "
                        "transition; the other is in " +
                        line_of(earlier.pos));
        else if ((t.forward == Forward::xconnect || earlier.forward == Forward::xconnect) &&
                 !is_overflow_wire(t, earlier))
            r.error(from_node(node, i), "port " + quote(from) +
                                            " can have no other transition beside an `xconnect`; "
                                            "the other is in " +
                                            line_of(earlier.pos));
    }
}

// Transitions into one port share its queue, so what holds for the queue as a whole must be the same in each.
void check_shared_queue(Reader &r, const Node &node, const Transition &t, const Transition &earlier) {
    if (t.to != earlier.to || t.to.empty())
        return;
    const std::string where = " of port " + quote(t.to) + " is `";
    if (t.mode != earlier.mode)
        r.error(entry_or_self(node, "mode"),
                "the mode" + where + std::string(mode_words[static_cast<size_t>(earlier.mode)]) + "` in " +
                    line_of(earlier.pos) + ": transitions into one port share its queue");
    if (t.on_controller_loss != earlier.on_controller_loss)
        r.error(entry_or_self(node, "on_controller_loss"),
                "`on_controller_loss`" + where +
                    std::string(loss_words[static_cast<size_t>(earlier.on_controller_loss)]) + "` in " +
                    line_of(earlier.pos) + ": transitions into one port share its queue");
}

// A port's ingress program knows a limited number of ways out.
void check_fan_out(Reader &r, const Node &list, const std::vector<Transition> &transitions) {
    std::map<std::string, size_t> ways_out;
    for (size_t i = 0; i < transitions.size(); i++)
        for (size_t k = 0; k < transitions[i].from.size(); k++)
            if (++ways_out[transitions[i].from[k]] == SLUICE_MAX_EGRESS + 1 &&
                !transitions[i].from[k].empty())
                r.error(from_node(list.children[i], k), "port " + quote(transitions[i].from[k]) +
                                                            " leads to more than " +
                                                            std::to_string(SLUICE_MAX_EGRESS) + " ports");
}

bool spills(const Transition &t) {
    return std::any_of(t.classes.begin(), t.classes.end(), [](const TrafficClass &c) {
        return std::find(c.when_full.begin(), c.when_full.end(), Verdict::spill) != c.when_full.end();
    });
}

void warn_spill(Reader &r, const Node &node, const Transition &t) {
    if (spills(t) && t.forward == Forward::xconnect)
        r.warning(
            entry_or_self(node, "classes"),
            "`spill` with `forward: xconnect`: the kernel must know the way, by a bridge of the two ports");
}

void check_slow_path(Reader &r, const Node &node, const Port &port) {
    if (port.spill && !port.rate_bytes_per_s)
        r.error(entry_or_self(node, "spill"), "`spill` needs a `rate`: the qdisc must know what it may send");
}

void warn_unused(Reader &r, const Node &ports, const Policy &policy) {
    std::set<std::string> used;
    for (const Transition &t : policy.transitions) {
        used.insert(t.to);
        used.insert(t.from.begin(), t.from.end());
    }
    for (size_t i = 0; i < policy.ports.size(); i++)
        if (!used.contains(policy.ports[i].name))
            r.warning_at(ports.children[i].key_pos,
                         "port " + quote(policy.ports[i].name) + " is in no transition");
}

} // namespace

const Node &entry_or_self(const Node &map, std::string_view key) {
    const Node *entry = map.find(key);
    return entry ? *entry : map;
}

void check_ports(Reader &r, const Node &root, const Policy &policy) {
    if (policy.ports.empty() || policy.transitions.empty())
        return; // already reported
    const Node &ports = entry_or_self(root, "ports");
    const Node &list = entry_or_self(root, "transitions");
    check_devices(r, ports, policy.ports);
    for (size_t i = 0; i < policy.ports.size(); i++)
        check_slow_path(r, ports.children[i], policy.ports[i]);
    const Names names(policy);
    for (size_t i = 0; i < policy.transitions.size(); i++) {
        const Transition &t = policy.transitions[i];
        check_ends(r, list.children[i], t, names);
        check_matches(r, t);
        warn_spill(r, list.children[i], t);
        for (size_t k = 0; k < i; k++) {
            check_claims(r, list.children[i], t, policy.transitions[k]);
            check_shared_queue(r, list.children[i], t, policy.transitions[k]);
        }
    }
    check_fan_out(r, list, policy.transitions);
    if (!r.has_error()) // a misspelt name would make its port look unused
        warn_unused(r, ports, policy);
}

} // namespace sluice
