#include "stamps.hpp"

#include <algorithm>
#include <cerrno>
#include <net/if.h>
#include <sys/mman.h>
#include <utility>

#include "enqueue_stamp.skel.h"
#include "tap.hpp"

namespace lab {

using sluice::fail_errno;

namespace {

sluice::Result<> attach_egress(const std::string &device, const bpf_program *program) {
    LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = static_cast<int>(if_nametoindex(device.c_str())),
                .attach_point = BPF_TC_EGRESS);
    LIBBPF_OPTS(bpf_tc_opts, options, .handle = 0x51, .priority = 1);
    options.prog_fd = bpf_program__fd(program);
    int err = bpf_tc_hook_create(&hook);
    if (err && err != -EEXIST)
        return fail_errno(err, "create clsact on " + device);
    err = bpf_tc_attach(&hook, &options);
    if (err)
        return fail_errno(err, "attach tc program to " + device);
    return {};
}

template <class T> const volatile T *map_table(const bpf_map *map, size_t count) {
    void *at = mmap(nullptr, count * sizeof(T), PROT_READ, MAP_SHARED | MAP_POPULATE, bpf_map__fd(map), 0);
    return at == MAP_FAILED ? nullptr : static_cast<const volatile T *>(at);
}

} // namespace

sluice::Result<Stamps> Stamps::attach(const SourceHost &source, const std::string &tap) {
    Stamps stamps;
    stamps.skeleton_ = enqueue_stamp__open();
    if (!stamps.skeleton_)
        return fail_errno(errno, "open enqueue_stamp skeleton");
    std::copy(source.ipv4.begin(), source.ipv4.end(), stamps.skeleton_->rodata->source_ipv4);
    std::copy(source.ipv6.begin(), source.ipv6.end(), stamps.skeleton_->rodata->source_ipv6);
    if (const int err = enqueue_stamp__load(stamps.skeleton_))
        return fail_errno(err, "load enqueue_stamp programs");
    stamps.slots_ = map_table<frame_stamp>(stamps.skeleton_->maps.stamps, FRAME_KEY_SLOTS);
    stamps.stack_ = map_table<stack_count>(stamps.skeleton_->maps.stack_counts, 1);
    if (!stamps.slots_ || !stamps.stack_)
        return fail_errno(errno, "mmap stamp tables");
    if (auto ok = attach_egress(tap, stamps.skeleton_->progs.count_stack); !ok)
        return tl::unexpected(ok.error());
    if (source.device.empty())
        return stamps;
    auto inside = InNetns::enter(source.netns);
    if (!inside)
        return tl::unexpected(inside.error());
    if (auto ok = attach_egress(source.device, stamps.skeleton_->progs.stamp_source); !ok)
        return tl::unexpected(ok.error());
    return stamps;
}

Stamps::Stamps(Stamps &&other) noexcept
    : skeleton_(std::exchange(other.skeleton_, nullptr)), slots_(other.slots_), stack_(other.stack_) {}

Stamps &Stamps::operator=(Stamps &&other) noexcept {
    std::swap(skeleton_, other.skeleton_);
    std::swap(slots_, other.slots_);
    std::swap(stack_, other.stack_);
    return *this;
}

// The tables stay mapped until the process ends; the filters go with their devices.
Stamps::~Stamps() {
    enqueue_stamp__destroy(skeleton_);
}

std::optional<uint64_t> Stamps::sent_ns(uint64_t key) const {
    const volatile frame_stamp &slot = slots_[key >> 1 & (FRAME_KEY_SLOTS - 1)];
    if (slot.key != key)
        return std::nullopt;
    return slot.time_ns;
}

stack_count Stamps::stack() const {
    return {.frames = stack_->frames, .frames_of_source = stack_->frames_of_source};
}

} // namespace lab
