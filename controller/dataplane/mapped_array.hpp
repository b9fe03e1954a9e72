// A BPF array map, seen as ordinary memory. Elements are read and written without system calls; who may write
// which field is said in include/sluice/abi.h.
#pragma once

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstddef>
#include <new>
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

    // `name` is for messages.
    static Result<MappedArray> map(int fd, const std::string &name) {
        bpf_map_info info{};
        uint32_t length = sizeof(info);
        if (int err = bpf_obj_get_info_by_fd(fd, &info, &length))
            return fail_errno(err, "ask for the size of map " + name);
        if (info.value_size != sizeof(T))
            return fail("map " + name + ": value size differs from this daemon's contract",
                        "daemon and BPF objects must be of one build");
        MappedArray out;
        out.size_ = info.max_entries;
        void *p = mmap(nullptr, out.bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (p == MAP_FAILED) {
            out.size_ = 0;
            return fail_errno(errno, "mmap of map " + name);
        }
        out.data_ = static_cast<T *>(p);
        return out;
    }

    // Ordinary memory of the same shape, all zero: for simulators and tests. Throws std::bad_alloc.
    static MappedArray in_memory(size_t entries) {
        MappedArray out;
        out.size_ = entries;
        void *p = mmap(nullptr, out.bytes(), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p == MAP_FAILED)
            throw std::bad_alloc();
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
