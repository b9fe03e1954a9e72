#include "reverse_path.hpp"

#include <algorithm>
#include <poll.h>
#include <unistd.h>

namespace lab {

namespace {

constexpr uint64_t longest_wait_ns = 50'000'000; // then look whether to stop
constexpr int frames_per_turn = 32;

} // namespace

ReversePath::ReversePath(int from, int to, uint64_t propagation_ns, uint64_t slack_ns)
    : from_(from), to_(to), propagation_ns_(propagation_ns), slack_ns_(slack_ns),
      thread_([this](const std::stop_token &stop) { run(stop); }) {}

Direction ReversePath::counts() const {
    return {.received = received_, .forwarded = forwarded_, .bytes = bytes_, .write_errors = write_errors_};
}

void ReversePath::run(const std::stop_token &stop) {
    while (!stop.stop_requested()) {
        receive(now_ns());
        deliver(now_ns());
        wait(now_ns());
    }
}

void ReversePath::receive(uint64_t now) {
    for (int i = 0; i < frames_per_turn; i++) {
        auto frame = pool_.take();
        const ssize_t n = read(from_, frame->bytes.data(), Frame::capacity);
        if (n <= 0) {
            pool_.give(std::move(frame));
            return;
        }
        frame->length = static_cast<size_t>(n);
        frame->due_ns = now + propagation_ns_;
        received_++;
        bytes_ += frame->length;
        line_.push(std::move(frame));
    }
}

void ReversePath::deliver(uint64_t now) {
    for (int i = 0; i < frames_per_turn && line_.due_ns() <= now; i++) {
        auto frame = line_.pop();
        (write(to_, frame->bytes.data(), frame->length) < 0 ? write_errors_ : forwarded_)++;
        pool_.give(std::move(frame));
    }
}

void ReversePath::wait(uint64_t now) const {
    const uint64_t due = line_.due_ns();
    const uint64_t left = due <= now ? 0 : std::min(due - now + slack_ns_, longest_wait_ns);
    const timespec timeout{0, static_cast<long>(left)};
    pollfd readable{from_, POLLIN, 0};
    ppoll(&readable, 1, &timeout, nullptr);
}

} // namespace lab
