// A BPF array map, seen as ordinary memory. Elements are read and written without system calls; who may write
// which field is said in include/sluice/abi.h.
#pragma once

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstddef>
#include <string>
#include <utility>

#include "core/result.hpp"

namespace sluice {

template <class T> class MappedArray {
    static_assert(sizeof(T) % 8 == 0, "array elements are padded to 8 bytes by the kernel");

  public:
    MappedArray() = default;
    MappedArray(MappedArray &&o) noexcept
        : data_(std::exchange(o.data_, nullptr)), size_(std::exchange(o.size_, 0)) {}
    MappedArray &operator=(MappedArray &&o) noexcept {
        std::swap(data_, o.data_);
        std::swap(size_, o.size_);
        return *this;
    }
    ~MappedArray() {
        if (data_)
            munmap(data_, bytes());
    }

    static Result<MappedArray> map(const bpf_map *map) {
        MappedArray out;
        out.size_ = bpf_map__max_entries(map);
        if (bpf_map__value_size(map) != sizeof(T))
            return fail(std::string("map ") + bpf_map__name(map) +
                            ": value size differs from this daemon's contract",
                        "daemon and BPF objects must be of one build");
        void *p = mmap(nullptr, out.bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);
        if (p == MAP_FAILED) {
            out.size_ = 0;
            return fail_errno(errno, std::string("mmap of map ") + bpf_map__name(map));
        }
        out.data_ = static_cast<T *>(p);
        return out;
    }

    T &operator[](size_t i) { return data_[i]; }
    const T &operator[](size_t i) const { return data_[i]; }
    size_t size() const { return size_; }
    T *begin() { return data_; }
    T *end() { return data_ + size_; }

  private:
    size_t bytes() const { return (size_ * sizeof(T) + 4095) & ~size_t{4095}; }

    T *data_ = nullptr;
    size_t size_ = 0;
};

} // namespace sluice
