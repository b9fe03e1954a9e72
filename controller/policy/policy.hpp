// What a policy file says, typed and with units resolved: the output of load_policy(), the input of the
// dataplane. Plain data; every invariant stated here has been checked by the loader.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sluice {

// Place of a key in the file, 1-based; line 0 = built-in default.
struct SourcePos {
    int line = 0;
    int column = 0;
};

// Framing that the link adds to each frame, and the smallest frame it can send, in bytes. `cells`: ATM, the
// frame is padded to whole 48-byte cells, each sent as 53 bytes.
struct Overhead {
    uint32_t bytes = 24; // preamble 8 + FCS 4 + inter-frame gap 12
    uint32_t mpu = 84;
    bool cells = false;
};

struct Prefix {
    int family = 4;                    // 4 or 6
    std::array<uint8_t, 16> address{}; // network order, host bits zero; IPv4 in the first 4 bytes
    uint8_t length = 0;
};

// The qdisc of a port's slow path, for the verdict `spill`.
enum class SpillKind : uint8_t { fq_codel, pfifo };
struct SpillQueue {
    SpillKind kind = SpillKind::fq_codel;
    uint32_t limit = 1000; // packets
};

// 802.3x PAUSE to the neighbour of a port that frames arrive by, with hysteresis on the delay of the ports
// they leave by. Invariant: below < above.
struct Pause {
    uint64_t above_ns = 2'000'000, below_ns = 1'000'000;
};

enum class XdpChoice : uint8_t { automatic, native, generic, tc };
enum class AttachChoice : uint8_t { direct, dispatcher };

struct Port {
    std::string name;                         // key under `ports:`
    std::string device;                       // interface name
    std::optional<uint64_t> rate_bytes_per_s; // none: sluice tracks what the link drains
    Overhead overhead;
    std::vector<Prefix>
        next_hop; // addresses of the router behind it, at most one per family; none = by routes
    std::optional<SpillQueue> spill;
    std::optional<Pause> pause;
    XdpChoice xdp = XdpChoice::automatic; // how the port's program is attached
    AttachChoice attach = AttachChoice::direct;
    SourcePos pos;
};

enum class Forward : uint8_t { fib, xconnect, library };
enum class Mode : uint8_t { enforce, shadow };
enum class OnControllerLoss : uint8_t { keep, bypass };
enum class Isolate : uint8_t { flow, srchost, dsthost, hosts, dual_srchost, dual_dsthost, triple, none };
enum class Law : uint8_t { codel, pi2 };
enum class TenantKey : uint8_t { src, dst, vlan };
enum class Verdict : uint8_t { mark, spill, reroute, trim, bounce, drop };

// Durations in nanoseconds; none = auto: derived from the rate, the ring and the MTU while running.
struct Aqm {
    Law law = Law::codel;
    std::optional<uint64_t> target_ns;
    std::optional<uint64_t> interval_ns;
    std::optional<uint64_t> limit_ns;
    bool ecn = true;
    std::optional<uint64_t> l4s_step_ns; // CE for ECT(1) above this phantom delay; none = auto
};

struct PortRange {
    uint16_t first = 0;
    uint16_t last = 65535; // inclusive, first <= last
};

// All criteria that are present must hold. Lists hold alternatives.
struct Match {
    std::vector<uint8_t> dscp;  // 0..63
    std::vector<uint8_t> proto; // IP protocol numbers
    std::vector<Prefix> src, dst;
    std::optional<PortRange> sport, dport;
    std::optional<PortRange> vlan;   // VLAN ids of the outermost tag
    std::vector<uint8_t> pcp;        // 0..7
    std::optional<PortRange> length; // bytes of the Ethernet frame, without VLAN tags and FCS
    std::vector<std::string> in;     // names of ports
    SourcePos pos;
};

// What a class, a group of classes, a tenant or a group of tenants gets of that which it is in.
struct Share {
    uint8_t priority = 1; // 0..7, lower is served first
    uint32_t weight = 1;  // 1..65535, within its priority
    std::optional<uint64_t> min_bytes_per_s, ceil_bytes_per_s;
    std::optional<double> min_fraction, ceil_fraction; // of the ceiling around it; excludes the absolute one
    SourcePos min_pos, ceil_pos;
};

struct ClassGroup : Share {
    std::string name;
    std::optional<uint32_t> parent; // index into Transition::groups
    SourcePos pos;
};

// What the verdict `trim` leaves of a packet.
struct Trim {
    uint16_t bytes = 128; // of the IP packet, headers included
    std::optional<uint8_t> dscp;
};

struct TrafficClass : Share {
    std::string name;
    std::vector<Match> match;       // one of them must hold; empty only for `default`
    std::optional<uint32_t> parent; // index into Transition::groups
    std::vector<Verdict> when_full{Verdict::mark, Verdict::drop}; // first possible one wins; ends with drop
    std::optional<Aqm> aqm;                                       // instead of the transition's
    std::optional<uint8_t> remark;                                // DSCP to write
    Trim trim;
    SourcePos pos;
};

struct TenantGroup : Share {
    std::string name;
    std::string in;                 // name of the group around it, or empty
    std::optional<uint32_t> parent; // the same as an index into Tenants::groups, always a smaller one
    SourcePos pos;
};

struct Tenant : Share {
    std::string name;
    std::string in;
    std::optional<uint32_t> parent; // index into Tenants::groups
    std::vector<Prefix> prefixes;   // by source or destination address ...
    std::vector<uint16_t> vlans;    // ... or by VLAN id
    SourcePos pos;
};

// Who shares the port: each tenant has all classes of the transition to itself.
struct Tenants {
    TenantKey by = TenantKey::dst;
    std::vector<TenantGroup> groups;
    std::vector<Tenant> list; // [0] is who matches no other, named `other`
    std::string file;         // more tenants, one per line; relative to the policy file
    SourcePos file_pos;
};

struct Transition {
    std::vector<std::string> from; // names of ports
    std::string to;                // name of a port
    Forward forward = Forward::fib;
    Mode mode = Mode::enforce;
    Aqm aqm;
    Isolate isolate = Isolate::flow;
    std::vector<ClassGroup> groups;    // in the order of the file, parents first
    std::vector<TrafficClass> classes; // first match wins; always ends with the class `default`
    std::optional<Tenants> tenants;
    std::vector<std::string> overflow; // names of ports, in order, that take what `to` refuses
    SourcePos overflow_pos;
    uint64_t flowlet_ns = 50'000'000; // gap after which a flow may change its way without being reordered
    OnControllerLoss on_controller_loss = OnControllerLoss::keep;
    SourcePos pos;
};

struct Policy {
    std::string file;   // as given
    std::string sha256; // of the file's bytes, lower-case hex
    int version = 1;
    std::vector<Port> ports;
    std::vector<Transition> transitions;
};

} // namespace sluice
