// Round trips of a sparse probe: what was sent when, and what came back.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace lab {

class ProbeLog {
  public:
    explicit ProbeLog(uint64_t go_ns) : go_ns_(go_ns) {}

    // Returns the sequence number to send.
    uint64_t sent(uint64_t now_ns);
    // Duplicates and unknown numbers are ignored.
    void received(uint64_t seq, uint64_t now_ns);

    // Per window "FROM:TO" (seconds after go; by sending time): sent, lost, RTT percentiles in ms; and the
    // series.
    [[nodiscard]] nlohmann::json report(const std::vector<std::string> &windows) const;

  private:
    struct Probe {
        uint64_t sent_ns;
        uint64_t rtt_ns; // 0 = no reply
    };
    [[nodiscard]] nlohmann::json window(double from_s, double to_s) const;
    [[nodiscard]] double seconds(const Probe &probe) const;

    uint64_t go_ns_;
    std::vector<Probe> probes_;
};

} // namespace lab
