// What the daemon knows at one instant: plain data, filled by the control loop, read by metrics, the HTTP API
// and sluicectl. Counters never go down while the data path lives. Unknown is an empty optional, never 0.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sluice {

// One row per closed reason; `name` is a label value, e.g. "drop_codel". The list always has every reason.
struct Count {
    std::string name;
    uint64_t packets = 0;
};

// Frames by the delay that they met. Bounds: frame i waited at most 2^(12 + i) ns, the last bucket holds the
// rest (sluice/histogram.h). Empty where nothing can be measured.
struct DelayHistogram {
    std::vector<uint64_t> frames; // counters, per bucket
    uint64_t sum_ns = 0;
};

struct RingState {
    uint32_t index = 0;
    uint32_t size = 0;       // descriptors; 0 while unknown
    uint32_t occupancy = 0;  // descriptors in use
    uint64_t sojourn_ns = 0; // age of the frame at the head
    uint64_t waiting_bytes = 0;
    uint64_t drained_bytes = 0; // counter
};

struct ClassState {
    std::string transition; // name of the port it leads to
    std::string name;
    std::string mode;                                      // "enforce" or "shadow"
    uint64_t admitted_packets = 0, admitted_bytes = 0;     // counters; bytes as on the wire, with overhead
    uint64_t taken_over_packets = 0;                       // counter; of those, what another port rerouted
    uint64_t service_bytes_per_s = 0;                      // what the phantom scheduler serves it now
    uint64_t backlog_bytes = 0;                            // phantom
    uint32_t active_flows = 0;                             // flows with phantom backlog
    uint64_t delay_ns = 0;                                 // phantom delay of a backlogged flow, mean
    uint64_t target_ns = 0, interval_ns = 0, limit_ns = 0; // in force, auto resolved
    std::vector<Count> outcomes;                           // forward, mark, drop_*, would_*
    DelayHistogram delays;                                 // phantom, of every frame that asked; sampled
};

// All classes of one tenant together.
struct TenantState {
    std::string transition; // name of the port it leads to
    std::string name;
    uint64_t admitted_packets = 0, admitted_bytes = 0, marked_packets = 0, dropped_packets = 0; // counters
    uint64_t service_bytes_per_s = 0, backlog_bytes = 0;
    uint32_t active_flows = 0;
};

inline constexpr size_t kTopFlows = 32;

// One bucket with traffic: a flow, or a host where the policy isolates by hosts (then the address and ports
// of its last flow).
struct FlowState {
    std::string class_name, tenant; // tenant: empty without tenants
    uint32_t bucket = 0;
    std::string src, dst; // empty where unknown or not IP
    uint16_t sport = 0, dport = 0;
    uint8_t family = 0, proto = 0, dscp = 0;
    uint64_t backlog_bytes = 0, delay_ns = 0;     // phantom
    uint64_t bytes = 0, packets = 0, refused = 0; // counters since the bucket is the flow's
};

// What became of every frame of a port, from one consistent look at the counters (ledger.hpp):
//   received = sum of `outcomes` + unexplained_received           of the frames that arrived on the port
//   admitted = sent + pending + sum of kernel drops + unseen + unexplained_admitted    of those redirected to
//   it
// unseen: what is missing of `admitted` up to one poll or one frame in 512: bulks for which one kernel did
// not run the hook (docs/measurements.md). 0 on other kernels.
struct Ledger {
    uint64_t received = 0;
    std::vector<Count> outcomes; // forward, mark, drop_*, pass_*
    uint64_t admitted = 0, sent = 0;
    uint64_t pending = 0; // between verdict and driver
    std::vector<Count> kernel_drops;
    uint64_t unseen = 0;
    int64_t unexplained_received = 0, unexplained_admitted = 0; // negative: frames that nobody announced
    uint64_t in_flight = 0; // frames that moved while the counters were read: how exact the two are
};

struct PortState {
    std::string name, device;
    uint32_t ifindex = 0;
    bool up = false;
    std::string driver;      // "tun", "veth", "virtio_net", or the kernel's name when no reader fits
    std::string ring_reader; // reader in use, or "none"
    std::string ring_trust;  // "exact", "moderated", "low" (a cross-check only) or "none"
    std::string xdp_mode;    // "native", "generic" or "" where no program is attached
    std::string hook;        // "tracepoint" or "devmap": what reads the ring
    std::string degraded;    // reason and cure, empty when all is well
    std::optional<uint64_t> policy_rate_bytes_per_s;
    uint64_t capacity_bytes_per_s = 0; // C: policy rate, or the tracked drain rate
    uint64_t drain_bytes_per_s = 0;    // last measured drain rate, 0 = never measured
    double headroom = 1.0;             // C is multiplied by it before it is shared out
    uint64_t ring_target_ns = 0;
    std::vector<RingState> rings;
    // ingress side: frames that arrived on this port
    uint64_t received_packets = 0, received_bytes = 0;
    std::vector<Count> passed; // pass_* reasons: to the kernel
    // egress side: frames redirected to this port
    DelayHistogram sojourn; // of the ring's head, as each frame met it; only with a ring reader
    uint64_t sent_packets = 0, sent_bytes = 0;
    std::optional<uint64_t> slow_packets, slow_bytes; // counters; the kernel's stack sent by it; with `spill`
    std::optional<uint64_t> spill_rate_bytes_per_s;   // what the qdisc of the spilled flows may send
    std::optional<uint64_t> spill_waiting_packets;    // and what waits in it
    std::optional<uint64_t> pause_frames;             // counter; sent to the neighbour; with `pause`
    std::vector<Count> kernel_drops;  // ring_full, no_device, too_big, ... : after the verdict, by the kernel
    std::vector<ClassState> classes;  // classes of the transitions that lead to this port, tenants added up
    std::vector<TenantState> tenants; // of these transitions
    uint32_t flow_count = 0;          // buckets in use
    std::vector<FlowState> flows;     // the largest by backlog, then by bytes; at most kTopFlows
    Ledger ledger;
};

struct Snapshot {
    uint64_t time_ns = 0; // CLOCK_MONOTONIC
    std::string version;  // of sluice
    std::string policy_file, policy_sha256;
    uint64_t policy_generation = 0;
    std::string policy_source;                  // "file", "applied" or "last_good"
    std::optional<double> confirm_until_unix_s; // a policy is on trial: then it is taken back
    bool last_good_saved = false;               // the policy in force is on disk, for a start with a bad file
    uint64_t reloads_ok = 0, reloads_invalid = 0, reloads_failed = 0; // failed: the data path refused
    uint64_t rollbacks_asked = 0, rollbacks_unconfirmed = 0;          // of reloads_ok
    double last_reload_unix_s = 0;
    bool last_reload_ok = true;
    uint64_t ticks = 0, events = 0, events_lost = 0;
    bool asleep = false; // control loop idle
    double heartbeat_unix_s = 0;
    // Frames that ports redirected and no port admitted; 0, and in library mode nobody can tell.
    int64_t unexplained_redirects = 0;
    std::string health; // "" until attached, then "ok", "degraded: ..." or "failed: ..."
    std::vector<PortState> ports;
};

} // namespace sluice
