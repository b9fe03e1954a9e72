#include "telemetry/event_reader.hpp"

#include <bpf/libbpf.h>

#include <cerrno>
#include <cstring>

namespace sluice {
namespace {
constexpr int kPoll_ms = 100;
}

EventReader::~EventReader() {
    ring_buffer__free(buffer_);
}

Result<> EventReader::open(int ring_buffer_fd) {
    ring_buffer *opened = ring_buffer__new(ring_buffer_fd, on_record, this, nullptr);
    if (!opened)
        return fail_errno(errno, "open the events ring buffer");
    ring_buffer__free(buffer_);
    buffer_ = opened;
    return {};
}

int EventReader::on_record(void *context, void *data, size_t size) {
    auto *self = static_cast<EventReader *>(context);
    sluice_event event;
    if (size < sizeof(event))
        return 0;
    std::memcpy(&event, data, sizeof(event));
    if (event.kind == SLUICE_EVENT_WAKE) {
        self->on_wake_();
        return 0;
    }
    self->received_.fetch_add(1, std::memory_order_relaxed);
    if (!self->queue_.push(event))
        self->lost_.fetch_add(1, std::memory_order_relaxed);
    return 0;
}

// Verdicts do not wake us (one wake-up each would cost more than they tell): the time-out collects them.
void EventReader::run(const std::stop_token &stop) {
    while (!stop.stop_requested())
        if (ring_buffer__poll(buffer_, kPoll_ms) == 0)
            ring_buffer__consume(buffer_);
}

} // namespace sluice
