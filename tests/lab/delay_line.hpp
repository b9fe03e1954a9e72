// Frames under way: each comes out of the far end a fixed time after it went in.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "clock.hpp"

namespace lab {

struct Frame {
    static constexpr size_t capacity = 9216 + 64;
    uint64_t due_ns = 0;
    size_t length = 0;
    std::array<uint8_t, capacity> bytes; // not initialised: the pool hands out dirty frames
};

// Frames are recycled, so that the steady state allocates nothing.
class FramePool {
  public:
    std::unique_ptr<Frame> take() {
        if (free_.empty())
            return std::unique_ptr<Frame>(new Frame);
        auto frame = std::move(free_.back());
        free_.pop_back();
        return frame;
    }
    void give(std::unique_ptr<Frame> frame) { free_.push_back(std::move(frame)); }

  private:
    std::vector<std::unique_ptr<Frame>> free_;
};

class DelayLine {
  public:
    void push(std::unique_ptr<Frame> frame) { frames_.push_back(std::move(frame)); }
    [[nodiscard]] uint64_t due_ns() const { return frames_.empty() ? never_ns : frames_.front()->due_ns; }
    std::unique_ptr<Frame> pop() {
        auto frame = std::move(frames_.front());
        frames_.pop_front();
        return frame;
    }
    // The frame that entered last, null when it has left already.
    [[nodiscard]] Frame *newest() { return frames_.empty() ? nullptr : frames_.back().get(); }
    [[nodiscard]] size_t size() const { return frames_.size(); }

  private:
    std::deque<std::unique_ptr<Frame>> frames_;
};

} // namespace lab
