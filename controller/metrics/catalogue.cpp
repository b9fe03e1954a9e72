// The table itself, one function per scope. Row order is the order of the exposition and of docs/metrics.md.
#include "metrics/catalogue.hpp"

#include <cstdlib>

#include "metrics/rows.hpp"

namespace sluice {
namespace {

using enum MetricKind;

double seconds(uint64_t ns) {
    return static_cast<double>(ns) / 1e9;
}

// 0 stands for "not known yet" in a few counts of the snapshot; a series with a false 0 would mislead an
// alert.
std::optional<double> unless_zero(uint64_t value) {
    return value ? std::optional<double>(static_cast<double>(value)) : std::nullopt;
}

Metric build_info() {
    return rows::make(
        {"sluice_build_info", gauge, "", "Constant 1; the label tells the version of the daemon."},
        {"version"}, [](const Scrape &s) {
            return std::vector<Sample>{{{s.snapshot.version}, 1}};
        });
}

Metric policy_info() {
    return rows::make(
        {"sluice_policy_info", gauge, "",
         "Constant 1; the labels tell which policy is in force. Count by sha256 over a fleet to "
         "see drift."},
        {"file", "generation", "sha256"}, [](const Scrape &scrape) {
            const auto &s = scrape.snapshot;
            const auto generation = std::to_string(s.policy_generation);
            return std::vector<Sample>{{{s.policy_file, generation, s.policy_sha256}, 1}};
        });
}

Metric policy_reloads() {
    return rows::make({"sluice_policy_reloads_total", counter, "reloads",
                       "Attempts to change the policy, by result. invalid: it was not good; failed: the data "
                       "path refused it; "
                       "both leave the old policy in force."},
                      {"result"}, [](const Scrape &scrape) {
                          const auto &s = scrape.snapshot;
                          return std::vector<Sample>{{{"applied"}, static_cast<double>(s.reloads_ok)},
                                                     {{"invalid"}, static_cast<double>(s.reloads_invalid)},
                                                     {{"failed"}, static_cast<double>(s.reloads_failed)}};
                      });
}

Metric policy_rollbacks() {
    return rows::make({"sluice_policy_rollbacks_total", counter, "rollbacks",
                       "Changes back to the policy before, by reason: asked for, or a policy on trial that "
                       "nobody confirmed."},
                      {"reason"}, [](const Scrape &scrape) {
                          const auto &s = scrape.snapshot;
                          return std::vector<Sample>{
                              {{"operator"}, static_cast<double>(s.rollbacks_asked)},
                              {{"unconfirmed"}, static_cast<double>(s.rollbacks_unconfirmed)}};
                      });
}

std::vector<Metric> daemon_rows() {
    return {
        build_info(),
        rows::daemon({"sluice_up", gauge, "",
                      "1 while the data path works as the policy asks, 0 while degraded or not attached."},
                     [](const Snapshot &s) { return s.health == "ok"; }),
        policy_info(),
        policy_reloads(),
        policy_rollbacks(),
        rows::daemon({"sluice_policy_from_last_good", gauge, "",
                      "1 while the last good policy is in force because the policy file was missing or bad."},
                     [](const Snapshot &s) { return s.policy_source == "last_good"; }),
        rows::daemon({"sluice_policy_last_good_saved", gauge, "",
                      "1 if the policy in force is on disk, for a start with a bad policy file."},
                     &Snapshot::last_good_saved),
        rows::daemon({"sluice_policy_on_trial", gauge, "",
                      "1 while a policy waits to be confirmed; else it is taken back."},
                     [](const Snapshot &s) { return s.confirm_until_unix_s.has_value(); }),
        rows::daemon({"sluice_policy_last_reload_timestamp_seconds", gauge, "seconds",
                      "Unix time of the last attempt to load the policy."},
                     &Snapshot::last_reload_unix_s),
        rows::daemon({"sluice_policy_last_reload_successful", gauge, "",
                      "1 if the last attempt to load the policy succeeded."},
                     &Snapshot::last_reload_ok),
        rows::daemon(
            {"sluice_heartbeat_timestamp_seconds", gauge, "seconds",
             "Unix time at which the control loop last ran; older than a few seconds means that it hangs."},
            &Snapshot::heartbeat_unix_s),
        rows::daemon({"sluice_control_ticks_total", counter, "ticks", "Runs of the control loop."},
                     &Snapshot::ticks),
        rows::daemon({"sluice_control_asleep", gauge, "",
                      "1 while the control loop is idle because no traffic flows."},
                     &Snapshot::asleep),
        rows::daemon({"sluice_events_total", counter, "events", "Events received from the BPF programs."},
                     &Snapshot::events),
        rows::daemon({"sluice_events_lost_total", counter, "events",
                      "Events that found no room in a buffer; packets and counters are not affected."},
                     &Snapshot::events_lost),
    };
}

Metric port_info() {
    return rows::make(
        {"sluice_port_info", gauge, "",
         "Constant 1; the labels tell the driver, which hook and reader watch its TX ring, and how "
         "XDP is attached (empty: no program on this port)."},
        {"device", "port", "driver", "hook", "ring_reader", "xdp_mode"}, [](const Scrape &scrape) {
            std::vector<Sample> samples;
            for (const auto &p : scrape.snapshot.ports)
                samples.push_back({{p.device, p.name, p.driver, p.hook, p.ring_reader, p.xdp_mode}, 1});
            return samples;
        });
}

std::vector<Metric> port_state_rows() {
    return {
        port_info(),
        rows::port({"sluice_port_up", gauge, "", "1 while the device of the port exists and is up."},
                   &PortState::up),
        rows::port({"sluice_port_degraded", gauge, "",
                    "1 while something about the port is not as the policy asks; `sluicectl status` tells "
                    "what cures it."},
                   [](const PortState &p) { return !p.degraded.empty(); }),
        rows::port({"sluice_port_policy_rate_bytes_per_second", gauge, "bytes/s",
                    "Rate that the policy gives the port; absent where the rate is tracked."},
                   &PortState::policy_rate_bytes_per_s),
        rows::port({"sluice_port_capacity_bytes_per_second", gauge, "bytes/s",
                    "Capacity that is shared out: the policy's rate, or the tracked drain rate."},
                   &PortState::capacity_bytes_per_s),
        rows::port({"sluice_port_drain_bytes_per_second", gauge, "bytes/s",
                    "Drain rate of the TX ring as last measured; absent until the first measurement."},
                   [](const PortState &p) { return unless_zero(p.drain_bytes_per_s); }),
        rows::port({"sluice_port_headroom_ratio", gauge, "ratio",
                    "Factor on the capacity that keeps the TX ring short."},
                   &PortState::headroom),
        rows::port({"sluice_port_ring_target_seconds", gauge, "seconds",
                    "Sojourn in the TX ring that the headroom is steered to."},
                   [](const PortState &p) { return seconds(p.ring_target_ns); }),
    };
}

std::vector<Metric> port_traffic_rows() {
    return {
        rows::port({"sluice_receive_packets_total", counter, "packets",
                    "Frames that arrived on the port at the XDP program."},
                   &PortState::received_packets),
        rows::port({"sluice_receive_bytes_total", counter, "bytes",
                    "Bytes that arrived on the port at the XDP program."},
                   &PortState::received_bytes),
        rows::port_reasons({"sluice_pass_packets_total", counter, "packets",
                            "Frames received on the port and passed to the kernel's own stack, by reason."},
                           &PortState::passed),
        rows::port({"sluice_transmit_packets_total", counter, "packets",
                    "Redirected frames that the TX ring of the port took."},
                   &PortState::sent_packets),
        rows::port({"sluice_transmit_bytes_total", counter, "bytes",
                    "Redirected bytes that the TX ring of the port took."},
                   &PortState::sent_bytes),
        rows::port({"sluice_slow_path_packets_total", counter, "packets",
                    "Frames that the kernel's stack sent by the port, spilled ones among them; absent "
                    "without `spill`."},
                   &PortState::slow_packets),
        rows::port({"sluice_slow_path_bytes_total", counter, "bytes",
                    "Bytes on the wire of these frames; absent without `spill`."},
                   &PortState::slow_bytes),
        rows::port({"sluice_spill_rate_bytes_per_second", gauge, "bytes/s",
                    "What the qdisc of the spilled flows may send; absent without `spill`."},
                   &PortState::spill_rate_bytes_per_s),
        rows::port({"sluice_spill_waiting_packets", gauge, "packets",
                    "Packets that wait in the qdisc of the spilled flows; absent without `spill`."},
                   &PortState::spill_waiting_packets),
        rows::port({"sluice_pause_frames_total", counter, "frames",
                    "802.3x PAUSE frames sent to the neighbour that feeds the port; absent without `pause`."},
                   &PortState::pause_frames),
        rows::port_reasons({"sluice_kernel_drop_packets_total", counter, "packets",
                            "Frames admitted towards the port and then lost by the kernel, by reason."},
                           &PortState::kernel_drops),
        rows::port({"sluice_port_unexplained_packets", gauge, "packets",
                    "Frames since the start that the ledger of the port cannot account for, received or "
                    "admitted; not 0: a bug, or somebody else redirects into the port."},
                   [](const PortState &p) {
                       return static_cast<double>(std::abs(p.ledger.unexplained_received) +
                                                  std::abs(p.ledger.unexplained_admitted));
                   }),
    };
}

std::vector<Metric> ring_rows() {
    return {
        rows::ring(
            {"sluice_ring_descriptors", gauge, "descriptors", "Size of the TX ring; absent while unknown."},
            [](const RingState &r) { return unless_zero(r.size); }),
        rows::ring(
            {"sluice_ring_occupied_descriptors", gauge, "descriptors", "Descriptors of the TX ring in use."},
            &RingState::occupancy),
        rows::ring(
            {"sluice_ring_sojourn_seconds", gauge, "seconds", "Age of the frame at the head of the TX ring."},
            [](const RingState &r) { return seconds(r.sojourn_ns); }),
        rows::port_histogram(
            {"sluice_ring_delay_seconds", histogram, "seconds",
             "Age of the frame at the head of the TX ring, as each redirected frame met it on entering; "
             "without a ring reader absent."},
            &PortState::sojourn),
        rows::ring({"sluice_ring_waiting_bytes", gauge, "bytes", "Bytes that wait in the TX ring."},
                   &RingState::waiting_bytes),
        rows::ring({"sluice_ring_drained_bytes_total", counter, "bytes",
                    "Bytes that the device took out of the TX ring."},
                   &RingState::drained_bytes),
    };
}

std::vector<Metric> class_rows() {
    return {
        rows::traffic_class({"sluice_class_admitted_packets_total", counter, "packets",
                             "Frames of the class admitted to the port."},
                            &ClassState::admitted_packets),
        rows::traffic_class(
            {"sluice_class_admitted_bytes_total", counter, "bytes",
             "Bytes of the class admitted to the port, as on the wire with framing overhead."},
            &ClassState::admitted_bytes),
        rows::traffic_class({"sluice_class_taken_over_packets_total", counter, "packets",
                             "Of the admitted frames, those that another port's classes count as reroute."},
                            &ClassState::taken_over_packets),
        rows::class_reasons(
            {"sluice_class_outcome_packets_total", counter, "packets",
             "Frames of the class by outcome: forward, mark, one drop_* per law, spill, reroute, trim, "
             "bounce where `when_full` names them; would_* counts what shadow mode did not enforce."},
            &ClassState::outcomes),
        rows::traffic_class({"sluice_class_service_bytes_per_second", gauge, "bytes/s",
                             "Rate at which the phantom scheduler serves the class."},
                            &ClassState::service_bytes_per_s),
        rows::traffic_class({"sluice_class_backlog_bytes", gauge, "bytes", "Phantom backlog of the class."},
                            &ClassState::backlog_bytes),
        rows::traffic_class(
            {"sluice_class_active_flows", gauge, "flows", "Flows of the class with phantom backlog."},
            &ClassState::active_flows),
        rows::traffic_class(
            {"sluice_class_delay_seconds", gauge, "seconds", "Mean phantom delay of the flows with backlog."},
            [](const ClassState &c) { return seconds(c.delay_ns); }),
        rows::class_histogram(
            {"sluice_class_phantom_delay_seconds", histogram, "seconds",
             "Phantom delay that the frames of the class met, refused ones too; one frame in 17 is looked at "
             "and stands for those since the last."},
            &ClassState::delays),
        rows::traffic_class({"sluice_class_target_seconds", gauge, "seconds",
                             "Target of the AQM law in force, `auto` resolved."},
                            [](const ClassState &c) { return seconds(c.target_ns); }),
        rows::traffic_class({"sluice_class_interval_seconds", gauge, "seconds",
                             "Interval of the AQM law in force, `auto` resolved."},
                            [](const ClassState &c) { return seconds(c.interval_ns); }),
        rows::traffic_class({"sluice_class_limit_seconds", gauge, "seconds",
                             "Phantom delay above which frames are refused, `auto` resolved."},
                            [](const ClassState &c) { return seconds(c.limit_ns); }),
    };
}

// Names and meanings that all Prometheus client libraries share.
std::vector<Metric> process_rows() {
    return {
        rows::process(
            {"process_cpu_seconds_total", counter, "seconds", "User and system CPU time of the daemon."},
            &ProcessStats::cpu_seconds),
        rows::process({"process_resident_memory_bytes", gauge, "bytes", "Resident memory of the daemon."},
                      &ProcessStats::resident_bytes),
        rows::process({"process_virtual_memory_bytes", gauge, "bytes", "Virtual memory of the daemon."},
                      &ProcessStats::virtual_bytes),
        rows::process({"process_open_fds", gauge, "file descriptors", "Open file descriptors of the daemon."},
                      &ProcessStats::open_fds),
        rows::process(
            {"process_max_fds", gauge, "file descriptors", "Limit of open file descriptors of the daemon."},
            &ProcessStats::max_fds),
        rows::process(
            {"process_start_time_seconds", gauge, "seconds", "Unix time at which the daemon started."},
            &ProcessStats::start_time_unix_s),
    };
}

} // namespace

const std::vector<Metric> &metric_catalogue() {
    static const std::vector<Metric> catalogue = [] {
        std::vector<Metric> all;
        for (auto scope :
             {daemon_rows, port_state_rows, port_traffic_rows, ring_rows, class_rows, process_rows})
            for (auto &row : scope())
                all.push_back(std::move(row));
        return all;
    }();
    return catalogue;
}

} // namespace sluice
