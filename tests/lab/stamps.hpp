// Loads the lab's tc programs and reads their tables: when the source sent a frame, and how many frames the
// router's stack sent to the slow TAP.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "core/result.hpp"
#include "frame_key.h"
#include "stack_count.h"

struct enqueue_stamp;

namespace lab {

struct SourceHost {
    std::string netns, device;     // stamped at this device's egress; empty = no stamps
    std::array<uint8_t, 4> ipv4{}; // zero = none
    std::array<uint8_t, 16> ipv6{};
};

class Stamps {
  public:
    // Attaches at the source and at the slow TAP (in the calling thread's network namespace).
    static sluice::Result<Stamps> attach(const SourceHost &source, const std::string &tap);
    Stamps(Stamps &&) noexcept;
    Stamps &operator=(Stamps &&) noexcept;
    ~Stamps();

    // When the frame with this key left the source; none when its slot holds another frame.
    [[nodiscard]] std::optional<uint64_t> sent_ns(uint64_t key) const;
    [[nodiscard]] stack_count stack() const;

  private:
    Stamps() = default;
    enqueue_stamp *skeleton_ = nullptr;
    const volatile frame_stamp *slots_ = nullptr;
    const volatile stack_count *stack_ = nullptr;
};

} // namespace lab
