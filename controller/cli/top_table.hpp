// What `sluicectl top` shows, as rows of text: rates are differences of two snapshots. No terminal in here.
#pragma once

#include <string>
#include <vector>

#include "control/snapshot.hpp"

namespace sluice {

enum class TopSort { backlog, rate, delay, refused };
std::string_view top_sort_name(TopSort sort);

// Rates are per second; nothing where the earlier snapshot does not know the thing, or the daemon was
// restarted.
struct TopPort {
    const PortState *port = nullptr;
    std::optional<double> sent_bytes, received_bytes, marks, drops, lost, passed;
};
struct TopClass {
    const PortState *port = nullptr;
    const ClassState *state = nullptr;
    std::optional<double> bytes, marks, drops; // in shadow mode: what would have been
};
struct TopFlow {
    const PortState *port = nullptr;
    const FlowState *flow = nullptr;
    std::optional<double> bytes, refused;
};

// Points into `now`.
struct Top {
    double seconds = 0; // between the snapshots
    std::vector<TopPort> ports;
    std::vector<TopClass> classes;
    std::vector<TopFlow> flows;
};
Top make_top(const Snapshot *before, const Snapshot &now, TopSort sort);

enum class TopStyle { plain, head, good, warning, bad };
struct TopLine {
    std::string text;
    TopStyle style = TopStyle::plain;
};
// `sort` is shown; lines are as long as they are, whoever prints cuts.
std::vector<TopLine> top_lines(const Snapshot &now, const Top &top, TopSort sort);

std::string top_json(const Top &top);

} // namespace sluice
