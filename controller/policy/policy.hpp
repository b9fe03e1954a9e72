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

struct Port {
    std::string name;                         // key under `ports:`
    std::string device;                       // interface name
    std::optional<uint64_t> rate_bytes_per_s; // none: sluice tracks what the link drains
    Overhead overhead;
    SourcePos pos;
};

enum class Forward : uint8_t { fib, xconnect };
enum class Mode : uint8_t { enforce, shadow };
enum class OnControllerLoss : uint8_t { keep, bypass };
enum class Isolate : uint8_t { flow, srchost, dsthost, none };
enum class Verdict : uint8_t { mark, drop };

// Durations in nanoseconds; none = auto: derived from the rate, the ring and the MTU while running.
struct Aqm {
    std::optional<uint64_t> target_ns;
    std::optional<uint64_t> interval_ns;
    std::optional<uint64_t> limit_ns;
    bool ecn = true;
    std::optional<uint64_t> l4s_step_ns; // CE for ECT(1) above this phantom delay; none = auto
};

struct Prefix {
    int family = 4;                    // 4 or 6
    std::array<uint8_t, 16> address{}; // network order, host bits zero; IPv4 in the first 4 bytes
    uint8_t length = 0;
};

struct PortRange {
    uint16_t first = 0;
    uint16_t last = 65535; // inclusive, first <= last
};

// All criteria that are present must hold. Lists hold alternatives.
struct Match {
    std::vector<uint8_t> dscp;  // 0..63
    std::vector<uint8_t> proto; // IP protocol numbers
    std::optional<Prefix> src, dst;
    std::optional<PortRange> sport, dport;
    SourcePos pos;
};

struct TrafficClass {
    std::string name;
    std::vector<Match> match; // one of them must hold; empty only for `default`
    uint8_t priority = 1;     // 0..7, lower is served first
    uint32_t weight = 1;      // 1..65535, within its priority
    std::optional<uint64_t> min_bytes_per_s, ceil_bytes_per_s;
    std::optional<double> min_fraction,
        ceil_fraction; // `10%` of the port's capacity; excludes the absolute one
    std::vector<Verdict> when_full{Verdict::mark, Verdict::drop}; // first possible one wins; ends with drop
    SourcePos pos;
};

struct Transition {
    std::vector<std::string> from; // names of ports
    std::string to;                // name of a port
    Forward forward = Forward::fib;
    Mode mode = Mode::enforce;
    Aqm aqm;
    Isolate isolate = Isolate::flow;
    std::vector<TrafficClass> classes; // first match wins; always ends with the class `default`
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
