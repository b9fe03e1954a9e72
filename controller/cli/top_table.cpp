#include "cli/top_table.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include <nlohmann/json.hpp>

#include "cli/drop_format.hpp"
#include "cli/tc_units.hpp"

namespace sluice {
namespace {

using Row = std::vector<std::string>;

template <class T> const T *find(const std::vector<T> *list, auto matches) {
    if (!list)
        return nullptr;
    const auto found = std::ranges::find_if(*list, matches);
    return found == list->end() ? nullptr : &*found;
}

uint64_t sum(const std::vector<Count> &counts, std::string_view prefix = {}) {
    uint64_t total = 0;
    for (const auto &count : counts)
        if (count.name.starts_with(prefix))
            total += count.packets;
    return total;
}

// Counters of `now` against those of `before`; `before` null = not known then.
template <class T> struct Since {
    const T *before;
    const T &now;
    double seconds;
    std::optional<double> operator()(auto counter) const {
        if (!before || seconds <= 0 || counter(now) < counter(*before))
            return {};
        return static_cast<double>(counter(now) - counter(*before)) / seconds;
    }
};

TopPort top_port(const PortState *before, const PortState &now, double seconds) {
    const Since<PortState> rate{before, now, seconds};
    const auto verdicts = [](const PortState &p, std::string_view prefix) {
        uint64_t total = 0;
        for (const auto &c : p.classes)
            total += sum(c.outcomes, prefix);
        return total;
    };
    return {&now,
            rate([](const PortState &p) { return p.sent_bytes; }),
            rate([](const PortState &p) { return p.received_bytes; }),
            rate([&](const PortState &p) { return verdicts(p, "mark"); }),
            rate([&](const PortState &p) { return verdicts(p, "drop"); }),
            rate([](const PortState &p) { return sum(p.kernel_drops); }),
            rate([](const PortState &p) { return sum(p.passed); })};
}

TopClass top_class(const PortState *port_before, const PortState &port, const ClassState &now,
                   double seconds) {
    const auto *before = find(port_before ? &port_before->classes : nullptr, [&](const ClassState &c) {
        return c.name == now.name && c.transition == now.transition;
    });
    const Since<ClassState> rate{before, now, seconds};
    const bool shadow = now.mode == "shadow";
    return {&port, &now, rate([](const ClassState &c) { return c.admitted_bytes; }),
            rate([&](const ClassState &c) { return sum(c.outcomes, shadow ? "would_mark" : "mark"); }),
            rate([&](const ClassState &c) { return sum(c.outcomes, shadow ? "would_drop" : "drop"); })};
}

bool same_flow(const FlowState &a, const FlowState &b) {
    return a.bucket == b.bucket && a.src == b.src && a.dst == b.dst && a.sport == b.sport &&
           a.dport == b.dport;
}

TopFlow top_flow(const PortState *port_before, const PortState &port, const FlowState &now, double seconds) {
    const auto *before = find(port_before ? &port_before->flows : nullptr,
                              [&](const FlowState &f) { return same_flow(f, now); });
    const Since<FlowState> rate{before, now, seconds};
    return {&port, &now, rate([](const FlowState &f) { return f.bytes; }),
            rate([](const FlowState &f) { return f.refused; })};
}

double key(const TopFlow &f, TopSort sort) {
    switch (sort) {
    case TopSort::rate:
        return f.bytes.value_or(0);
    case TopSort::delay:
        return static_cast<double>(f.flow->delay_ns);
    case TopSort::refused:
        return f.refused.value_or(0);
    case TopSort::backlog:
        break;
    }
    return static_cast<double>(f.flow->backlog_bytes);
}

// ---- text

std::string rate_text(const std::optional<double> &bytes_per_s) {
    return bytes_per_s ? tc_rate(static_cast<uint64_t>(std::llround(*bytes_per_s))) : "-";
}

std::string number_text(const std::optional<double> &per_s) {
    return per_s ? std::to_string(std::llround(*per_s)) : "-";
}

std::string flow_text(const FlowState &f) {
    if (f.src.empty())
        return "bucket " + std::to_string(f.bucket);
    return protocol_name(f.proto) + " " + endpoint(f.src, f.sport, f.proto) + " > " +
           endpoint(f.dst, f.dport, f.proto);
}

Row port_row(const TopPort &t) {
    const PortState &p = *t.port;
    uint64_t sojourn = 0, delay = 0;
    uint32_t occupancy = 0, size = 0;
    for (const auto &ring : p.rings) {
        sojourn = std::max(sojourn, ring.sojourn_ns);
        occupancy += ring.occupancy;
        size += ring.size;
    }
    for (const auto &c : p.classes)
        delay = std::max(delay, c.delay_ns);
    const bool egress = !p.classes.empty();
    return {p.name,
            p.device + (p.up ? "" : " DOWN"),
            p.capacity_bytes_per_s ? tc_rate(p.capacity_bytes_per_s) : "-",
            rate_text(t.sent_bytes),
            rate_text(t.received_bytes),
            size ? std::to_string(occupancy) + "/" + std::to_string(size) : "-",
            p.rings.empty() ? "-" : tc_time(sojourn),
            egress ? tc_time(delay) : "-",
            egress ? number_text(t.marks) : "-",
            egress ? number_text(t.drops) : "-",
            number_text(t.lost),
            number_text(t.passed)};
}

Row class_row(const TopClass &t) {
    const ClassState &c = *t.state;
    return {t.port->name + " " + c.name,    c.mode.empty() ? "-" : c.mode, rate_text(t.bytes),
            tc_rate(c.service_bytes_per_s), tc_time(c.delay_ns),           tc_size(c.backlog_bytes),
            std::to_string(c.active_flows), number_text(t.marks),          number_text(t.drops)};
}

Row flow_row(const TopFlow &t) {
    const FlowState &f = *t.flow;
    return {flow_text(f),        t.port->name + " " + f.class_name,
            rate_text(t.bytes),  tc_size(f.backlog_bytes),
            tc_time(f.delay_ns), number_text(t.refused)};
}

// Columns as wide as their widest cell; the first `left` ones are left-aligned.
void add_table(std::vector<TopLine> &out, const std::vector<Row> &rows, size_t left,
               const std::vector<TopStyle> &styles) {
    std::vector<size_t> width(rows.front().size());
    for (const auto &row : rows)
        for (size_t i = 0; i < row.size(); i++)
            width[i] = std::max(width[i], row[i].size());
    for (size_t r = 0; r < rows.size(); r++) {
        std::string text;
        for (size_t i = 0; i < rows[r].size(); i++) {
            const std::string space(width[i] - rows[r][i].size(), ' ');
            text += (i ? "  " : "") + (i < left ? rows[r][i] + space : space + rows[r][i]);
        }
        text.erase(text.find_last_not_of(' ') + 1);
        out.push_back({text, r == 0 ? TopStyle::head : styles[r - 1]});
    }
}

TopStyle health_style(const std::string &health) {
    return health == "ok"                   ? TopStyle::good
           : health.starts_with("degraded") ? TopStyle::warning
                                            : TopStyle::bad;
}

TopStyle style_of(bool bad, bool warning) {
    return bad ? TopStyle::bad : warning ? TopStyle::warning : TopStyle::plain;
}

nlohmann::json or_null(const std::optional<double> &value) {
    return value ? nlohmann::json(*value) : nlohmann::json();
}

} // namespace

std::string_view top_sort_name(TopSort sort) {
    constexpr std::array<std::string_view, 4> names{"backlog", "rate", "delay", "refused"};
    return names[static_cast<size_t>(sort)];
}

Top make_top(const Snapshot *before, const Snapshot &now, TopSort sort) {
    Top top;
    if (before && now.time_ns > before->time_ns)
        top.seconds = static_cast<double>(now.time_ns - before->time_ns) * 1e-9;
    for (const auto &port : now.ports) {
        const auto *earlier =
            find(before ? &before->ports : nullptr, [&](const PortState &p) { return p.name == port.name; });
        top.ports.push_back(top_port(earlier, port, top.seconds));
        for (const auto &c : port.classes)
            top.classes.push_back(top_class(earlier, port, c, top.seconds));
        for (const auto &f : port.flows)
            top.flows.push_back(top_flow(earlier, port, f, top.seconds));
    }
    std::ranges::stable_sort(top.flows, std::greater(), [sort](const TopFlow &f) { return key(f, sort); });
    return top;
}

std::vector<TopLine> top_lines(const Snapshot &now, const Top &top, TopSort sort) {
    std::vector<TopLine> out;
    const std::string health = now.health.empty() ? "starting" : now.health;
    out.push_back({"sluice " + now.version + "  " + now.policy_file + " generation " +
                   std::to_string(now.policy_generation) + (now.asleep ? "  idle" : "")});
    out.push_back({health, health_style(health)});
    for (const auto &port : now.ports)
        if (!port.degraded.empty() && health.find(port.degraded) == std::string::npos)
            out.push_back({port.name + ": " + port.degraded, TopStyle::warning});
    out.push_back({""});

    std::vector<Row> rows{{"PORT", "DEVICE", "CAPACITY", "SENT", "RECEIVED", "RING", "SOJOURN", "DELAY",
                           "MARK/s", "DROP/s", "LOST/s", "PASS/s"}};
    std::vector<TopStyle> styles;
    for (const auto &p : top.ports) {
        rows.push_back(port_row(p));
        styles.push_back(style_of(!p.port->up || p.lost.value_or(0) > 0, !p.port->degraded.empty()));
    }
    add_table(out, rows, 2, styles);
    out.push_back({""});

    rows = {{"CLASS", "MODE", "RATE", "SERVICE", "DELAY", "BACKLOG", "FLOWS", "MARK/s", "DROP/s"}};
    styles.clear();
    for (const auto &c : top.classes) {
        rows.push_back(class_row(c));
        styles.push_back(style_of(false, c.state->mode == "shadow"));
    }
    add_table(out, rows, 2, styles);
    out.push_back({""});

    rows = {
        {"FLOW by " + std::string(top_sort_name(sort)), "CLASS", "RATE", "BACKLOG", "DELAY", "REFUSED/s"}};
    for (const auto &f : top.flows)
        rows.push_back(flow_row(f));
    add_table(out, rows, 2, std::vector<TopStyle>(rows.size(), TopStyle::plain));
    return out;
}

std::string top_json(const Top &top) {
    nlohmann::json ports = nlohmann::json::array(), classes = ports, flows = ports;
    for (const auto &t : top.ports)
        ports.push_back({{"name", t.port->name},
                         {"device", t.port->device},
                         {"capacity_bytes_per_s", t.port->capacity_bytes_per_s},
                         {"sent_bytes_per_s", or_null(t.sent_bytes)},
                         {"received_bytes_per_s", or_null(t.received_bytes)},
                         {"marks_per_s", or_null(t.marks)},
                         {"drops_per_s", or_null(t.drops)},
                         {"kernel_drops_per_s", or_null(t.lost)},
                         {"passed_per_s", or_null(t.passed)}});
    for (const auto &t : top.classes)
        classes.push_back({{"port", t.port->name},
                           {"name", t.state->name},
                           {"mode", t.state->mode},
                           {"delay_ns", t.state->delay_ns},
                           {"backlog_bytes", t.state->backlog_bytes},
                           {"active_flows", t.state->active_flows},
                           {"bytes_per_s", or_null(t.bytes)},
                           {"marks_per_s", or_null(t.marks)},
                           {"drops_per_s", or_null(t.drops)}});
    for (const auto &t : top.flows)
        flows.push_back({{"port", t.port->name},
                         {"class", t.flow->class_name},
                         {"src", t.flow->src},
                         {"dst", t.flow->dst},
                         {"sport", t.flow->sport},
                         {"dport", t.flow->dport},
                         {"proto", t.flow->proto},
                         {"backlog_bytes", t.flow->backlog_bytes},
                         {"delay_ns", t.flow->delay_ns},
                         {"bytes_per_s", or_null(t.bytes)},
                         {"refused_per_s", or_null(t.refused)}});
    constexpr int two_spaces = 2;
    const nlohmann::json all{
        {"seconds", top.seconds}, {"ports", ports}, {"classes", classes}, {"flows", flows}};
    return all.dump(two_spaces, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

} // namespace sluice
