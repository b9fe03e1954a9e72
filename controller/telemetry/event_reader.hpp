// Takes event records out of the BPF ring buffer: wake-ups go to the loop at once, verdicts through a
// lock-free queue to whoever explains them. A full queue loses the newest event, counted; the data path never
// waits.
#pragma once

#include <sluice/abi.h>

#include <atomic>
#include <boost/lockfree/spsc_queue.hpp>
#include <functional>
#include <memory>
#include <stop_token>

#include "core/result.hpp"

struct ring_buffer;

namespace sluice {

class EventReader {
  public:
    explicit EventReader(std::function<void()> on_wake) : on_wake_(std::move(on_wake)) {}
    ~EventReader();
    EventReader(const EventReader &) = delete;
    EventReader &operator=(const EventReader &) = delete;

    // Also instead of an earlier buffer, while run() does not run.
    Result<> open(int ring_buffer_fd);
    // Blocks until `stop`; the one producer of the queue.
    void run(const std::stop_token &stop);
    // The one consumer: false when there is no event.
    bool pop(sluice_event &event) { return queue_.pop(event); }

    uint64_t received() const { return received_.load(std::memory_order_relaxed); }
    uint64_t lost() const { return lost_.load(std::memory_order_relaxed); }

  private:
    static int on_record(void *self, void *data, size_t size);

    std::function<void()> on_wake_;
    ring_buffer *buffer_ = nullptr;
    boost::lockfree::spsc_queue<sluice_event, boost::lockfree::capacity<4096>> queue_;
    std::atomic<uint64_t> received_{0}, lost_{0};
};

} // namespace sluice
