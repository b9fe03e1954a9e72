#include "api/json.hpp"

#include <charconv>
#include <optional>

#include <nlohmann/json.hpp>

// nlohmann-json 3.11 has no conversion for std::optional.
template <class T> struct nlohmann::adl_serializer<std::optional<T>> {
    static void to_json(json &j, const std::optional<T> &value) { j = value ? json(*value) : json(nullptr); }
    static void from_json(const json &j, std::optional<T> &value) {
        value = j.is_null() ? std::nullopt : std::optional<T>(j.get<T>());
    }
};

namespace sluice {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Count, name, packets)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(RingState, index, size, occupancy, sojourn_ns, waiting_bytes,
                                                drained_bytes)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(ClassState, transition, name, mode, admitted_packets,
                                                taken_over_packets, admitted_bytes, service_bytes_per_s,
                                                backlog_bytes, active_flows, delay_ns, target_ns, interval_ns,
                                                limit_ns, outcomes)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(TenantState, transition, name, admitted_packets,
                                                admitted_bytes, marked_packets, dropped_packets,
                                                service_bytes_per_s, backlog_bytes, active_flows)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(FlowState, class_name, tenant, bucket, src, dst, sport, dport,
                                                family, proto, dscp, backlog_bytes, delay_ns, bytes, packets,
                                                refused)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Explanation, ingress_port, egress_port, mode, class_name,
                                                tenant, policy_file, policy_line, by_default, unresponsive,
                                                active, bucket, backlog_bytes, delay_ns,
                                                flow_rate_bytes_per_s, class_rate_bytes_per_s,
                                                capacity_bytes_per_s, active_flows, target_ns, limit_ns,
                                                ring_delay_ns, now, limits)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(HistoryClass, name, transition, admitted_bytes, delay_ns,
                                                outcomes)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(HistoryPort, name, received_bytes, sent_bytes, kernel_drops,
                                                passed, capacity_bytes_per_s, sojourn_ns, occupancy,
                                                ring_size, outcome_names, classes)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(HistoryPoint, unix_s, ports)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Ledger, received, outcomes, admitted, sent, pending,
                                                kernel_drops, unseen, unexplained_received,
                                                unexplained_admitted, in_flight)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(PortState, name, device, ifindex, up, driver, ring_reader,
                                                ring_trust, xdp_mode, hook, degraded, policy_rate_bytes_per_s,
                                                capacity_bytes_per_s, drain_bytes_per_s, headroom,
                                                ring_target_ns, rings, received_packets, received_bytes,
                                                passed, sent_packets, sent_bytes, slow_packets, slow_bytes,
                                                spill_rate_bytes_per_s, spill_waiting_packets, pause_frames,
                                                kernel_drops, classes, tenants, flow_count, flows, ledger)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Snapshot, time_ns, version, policy_file, policy_sha256,
                                                policy_generation, reloads_ok, reloads_invalid,
                                                reloads_failed, rollbacks_asked, rollbacks_unconfirmed,
                                                last_reload_unix_s, last_reload_ok, policy_source,
                                                confirm_until_unix_s, last_good_saved, ticks, events,
                                                events_lost, asleep, heartbeat_unix_s, unexplained_redirects,
                                                health, ports)
static std::string to_hex(const std::vector<uint8_t> &bytes) {
    constexpr const char *digits = "0123456789abcdef";
    std::string text;
    for (uint8_t b : bytes)
        text += {digits[b >> 4], digits[b & 15]};
    return text;
}

static std::vector<uint8_t> from_hex(const std::string &text) {
    std::vector<uint8_t> bytes;
    for (size_t i = 0; i + 1 < text.size(); i += 2) {
        uint8_t byte = 0;
        if (std::from_chars(text.data() + i, text.data() + i + 2, byte, 16).ptr != text.data() + i + 2)
            return {};
        bytes.push_back(byte);
    }
    return bytes;
}

#define SLUICE_DROP_FIELDS                                                                                   \
    seq, unix_s, reason, ingress_port, egress_port, class_name, tenant, policy_file, policy_line, bucket,    \
        cpu, wire_bytes, frame_bytes, delay_ns, ring_delay_ns, ring, ring_size, ring_occupancy,              \
        ring_sojourn_ns, src, dst, sport, dport, family, proto, dscp, ecn

static void to_json(nlohmann::json &nlohmann_json_j, const DropRecord &nlohmann_json_t) {
    NLOHMANN_JSON_EXPAND(NLOHMANN_JSON_PASTE(NLOHMANN_JSON_TO, SLUICE_DROP_FIELDS))
    nlohmann_json_j["frame"] = to_hex(nlohmann_json_t.frame);
}

static void from_json(const nlohmann::json &nlohmann_json_j, DropRecord &nlohmann_json_t) {
    const DropRecord nlohmann_json_default_obj;
    NLOHMANN_JSON_EXPAND(NLOHMANN_JSON_PASTE(NLOHMANN_JSON_FROM_WITH_DEFAULT, SLUICE_DROP_FIELDS))
    nlohmann_json_t.frame = from_hex(nlohmann_json_j.value("frame", ""));
}

NLOHMANN_JSON_SERIALIZE_ENUM(Diagnostic::Severity,
                             {{Diagnostic::error, "error"}, {Diagnostic::warning, "warning"}})

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(DropPage, events, next, missed)

// Flat, as editors and linters expect it.
static void to_json(nlohmann::json &j, const Diagnostic &d) {
    j = {{"file", d.file},
         {"line", d.pos.line},
         {"column", d.pos.column},
         {"severity", d.severity},
         {"message", d.message},
         {"suggestion", d.suggestion},
         {"source_line", d.source_line}};
}

static void from_json(const nlohmann::json &j, Diagnostic &d) {
    d.file = j.value("file", "");
    d.pos = {j.value("line", 0), j.value("column", 0)};
    d.severity = j.value("severity", Diagnostic::error);
    d.message = j.value("message", "");
    d.suggestion = j.value("suggestion", "");
    d.source_line = j.value("source_line", "");
}

namespace {

using nlohmann::json;

std::string dump(const json &value) {
    constexpr int two_spaces = 2;
    return value.dump(two_spaces, ' ', false, json::error_handler_t::replace) + "\n";
}

// Runs `convert` on the parsed text; the library reports by exceptions, we by values.
template <class F> auto parse(const std::string &text, F convert) -> Result<decltype(convert(json()))> {
    try {
        return convert(json::parse(text));
    } catch (const json::exception &e) {
        return fail(std::string("read the daemon's answer: ") + e.what(),
                    "sluicectl and sluiced may be of different versions");
    }
}

} // namespace

std::string to_json_text(const Snapshot &snapshot) {
    return dump(json(snapshot));
}

std::string ledger_json(const Snapshot &snapshot) {
    json ports = json::array();
    for (const auto &port : snapshot.ports) {
        json one = port.ledger;
        one["name"] = port.name;
        one["device"] = port.device;
        ports.push_back(std::move(one));
    }
    return dump({{"time_ns", snapshot.time_ns},
                 {"unexplained_redirects", snapshot.unexplained_redirects},
                 {"ports", std::move(ports)}});
}

std::string to_json_text(const ReloadOutcome &outcome) {
    switch (outcome.status) {
    case ReloadStatus::applied:
        return dump({{"generation", outcome.generation},
                     {"warnings", outcome.diagnostics},
                     {"confirm_until_unix_s", outcome.confirm_until_unix_s}});
    case ReloadStatus::invalid:
        return to_json_text(outcome.diagnostics);
    case ReloadStatus::failed:
    case ReloadStatus::busy:
    case ReloadStatus::nothing:
        break;
    }
    return error_json(outcome.failure);
}

std::string to_json_text(const DropPage &page) {
    return dump(json(page));
}

std::string to_json_text(const std::vector<HistoryPoint> &points) {
    return json{{"points", points}}.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

std::string to_json_text(const std::vector<Explanation> &explanations) {
    return dump({{"explanations", explanations}});
}

Result<std::vector<Explanation>> explanations_from_json(const std::string &text) {
    return parse(text,
                 [](const json &value) { return value.at("explanations").get<std::vector<Explanation>>(); });
}

std::string to_json_line(const DropRecord &record) {
    return json(record).dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

std::string to_json_text(const std::vector<Diagnostic> &diagnostics) {
    return dump(json(diagnostics));
}

std::string error_json(const std::string &message) {
    return dump({{"error", message}});
}

std::string error_from_json(long http_status, const std::string &text) {
    const std::string fallback = "sluiced answered with HTTP status " + std::to_string(http_status);
    return parse(text, [&](const json &value) { return value.value("error", fallback); }).value_or(fallback);
}

Result<Snapshot> snapshot_from_json(const std::string &text) {
    return parse(text, [](const json &value) { return value.get<Snapshot>(); });
}

Result<DropPage> drop_page_from_json(const std::string &text) {
    return parse(text, [](const json &value) { return value.get<DropPage>(); });
}

Result<ReloadOutcome> reload_outcome_from_json(int http_status, const std::string &text) {
    return parse(text, [http_status](const json &value) {
        ReloadOutcome outcome;
        if (http_status == 200) {
            outcome.status = ReloadStatus::applied;
            outcome.generation = value.at("generation").get<uint64_t>();
            outcome.diagnostics = value.value("warnings", std::vector<Diagnostic>());
            outcome.confirm_until_unix_s = value.value("confirm_until_unix_s", std::optional<double>());
        } else if (http_status == 422) {
            outcome.status = ReloadStatus::invalid;
            outcome.diagnostics = value.get<std::vector<Diagnostic>>();
        } else {
            outcome.status = http_status == 409   ? ReloadStatus::busy
                             : http_status == 404 ? ReloadStatus::nothing
                                                  : ReloadStatus::failed;
            outcome.failure = value.value("error", "HTTP status " + std::to_string(http_status));
        }
        return outcome;
    });
}

} // namespace sluice
