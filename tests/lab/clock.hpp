// The lab's clock and the owner of a file descriptor.
#pragma once

#include <cstdint>
#include <ctime>
#include <unistd.h>
#include <utility>

namespace lab {

constexpr uint64_t never_ns = UINT64_MAX;

// CLOCK_MONOTONIC, the clock of bpf_ktime_get_ns().
inline uint64_t now_ns() {
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(t.tv_nsec);
}

class Fd {
  public:
    Fd() = default;
    explicit Fd(int fd) : fd_(fd) {}
    Fd(Fd &&other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Fd &operator=(Fd &&other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~Fd() {
        if (fd_ >= 0)
            close(fd_);
    }
    [[nodiscard]] int get() const { return fd_; }

  private:
    int fd_ = -1;
};

} // namespace lab
