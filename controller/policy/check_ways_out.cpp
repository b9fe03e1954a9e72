#include <algorithm>
#include <set>

#include "core/text.hpp"
#include "policy/check.hpp"
#include "policy/compile.hpp"
#include "policy/names.hpp"

namespace sluice {
namespace {

bool has_way(const TrafficClass &c, Verdict way) {
    return std::find(c.when_full.begin(), c.when_full.end(), way) != c.when_full.end();
}

bool uses_reroute(const Transition &t) {
    return std::any_of(t.classes.begin(), t.classes.end(),
                       [](const TrafficClass &c) { return has_way(c, Verdict::reroute); });
}

// Frames on an overflow port are classified, queued and counted by a transition into that port.
void check_overflow_port(Reader &r, const Node &at, const Policy &policy, const Transition &t,
                         const std::string &name) {
    const auto is_named = [&](const Port &p) { return p.name == name; };
    if (std::none_of(policy.ports.begin(), policy.ports.end(), is_named))
        return r.error(at, "there is no port " + quote(name));
    if (name == t.to)
        return r.error(at,
                       "port " + quote(name) + " is `to` of this transition and cannot be its `overflow`");
    const bool has_transition =
        std::any_of(policy.transitions.begin(), policy.transitions.end(), [&](const Transition &other) {
            return other.to == name && other.forward == t.forward && covers(other, t);
        });
    if (!has_transition)
        r.error(at, "port " + quote(name) + " needs a transition of its own to be an `overflow`: `to: " +
                        name + "`, the same `forward` and all of this `from`" +
                        (t.forward == Forward::xconnect ? ", after this one" : ""));
}

void check_overflow(Reader &r, const Node &node, const Policy &policy, const Transition &t) {
    const Node &at = entry_or_self(node, "overflow");
    std::set<std::string> seen;
    for (const std::string &name : t.overflow) {
        if (name.empty())
            continue; // already reported
        if (!seen.insert(name).second)
            r.error(at, "port " + quote(name) + " is named twice");
        check_overflow_port(r, at, policy, t, name);
    }
    if (!t.overflow.empty() && !uses_reroute(t))
        r.warning(at,
                  "no class of this transition has `reroute` in `when_full`: its `overflow` is never used");
}

void check_class(Reader &r, const Transition &t, const TrafficClass &c) {
    for (Verdict way : c.when_full)
        if (t.forward == Forward::library && way != Verdict::mark && way != Verdict::drop)
            return r.error_at(c.pos, "`" + std::string(verdict_words[static_cast<size_t>(way)]) +
                                         "` is not possible with `forward: library`: the program of your own "
                                         "decides what becomes of a refused packet");
    if (has_way(c, Verdict::reroute) && t.overflow.empty())
        r.error_at(c.pos, "`reroute` needs `overflow` in the transition: the ports that it may use");
}

} // namespace

void check_ways_out(Reader &r, const Node &root, const Policy &policy) {
    if (policy.ports.empty() || policy.transitions.empty())
        return; // already reported
    const Node &list = entry_or_self(root, "transitions");
    for (size_t i = 0; i < policy.transitions.size(); i++) {
        const Transition &t = policy.transitions[i];
        check_overflow(r, list.children[i], policy, t);
        for (const TrafficClass &c : t.classes)
            check_class(r, t, c);
    }
}

} // namespace sluice
