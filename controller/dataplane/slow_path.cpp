#include "dataplane/slow_path.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cerrno>
#include <fcntl.h>
#include <utility>

#include "dataplane/libbpf_log.hpp"

namespace sluice {
namespace {

constexpr auto kTcxEgress = static_cast<bpf_attach_type>(47); // BPF_TCX_EGRESS, since Linux 6.6
// Where our filter is, so that it is found again without asking anybody. The kernel deals out priorities from
// 49152 down.
constexpr uint32_t kHandle = 0x51, kPriority = 20053;

bpf_tc_hook egress_of(uint32_t ifindex, bool whole) {
    bpf_tc_hook hook{};
    hook.sz = sizeof(hook);
    hook.ifindex = static_cast<int>(ifindex);
    hook.attach_point =
        static_cast<bpf_tc_attach_point>(whole ? BPF_TC_INGRESS | BPF_TC_EGRESS : BPF_TC_EGRESS);
    return hook;
}

bpf_tc_opts our_filter() {
    bpf_tc_opts filter{};
    filter.sz = sizeof(filter);
    filter.handle = kHandle;
    filter.priority = kPriority;
    return filter;
}

} // namespace

SlowPath::SlowPath(SlowPath &&other) noexcept
    : link_(std::move(other.link_)), ifindex_(std::exchange(other.ifindex_, 0)),
      made_clsact_(other.made_clsact_), left_(other.left_) {}

SlowPath &SlowPath::operator=(SlowPath &&other) noexcept {
    std::swap(link_, other.link_);
    std::swap(ifindex_, other.ifindex_);
    std::swap(made_clsact_, other.made_clsact_);
    std::swap(left_, other.left_);
    return *this;
}

SlowPath::~SlowPath() {
    if (!ifindex_ || left_)
        return;
    if (link_) {
        bpf_link_detach(link_.get()); // it may be pinned
        return;
    }
    bpf_tc_hook hook = egress_of(ifindex_, made_clsact_), egress = egress_of(ifindex_, false);
    bpf_tc_opts filter = our_filter();
    LibbpfLog log; // a device that went has taken all of it along
    bpf_tc_detach(&egress, &filter);
    if (made_clsact_)
        bpf_tc_hook_destroy(&hook);
}

SlowPath SlowPath::left(uint32_t ifindex, Fd link, bool made_clsact) {
    SlowPath path;
    path.ifindex_ = ifindex;
    path.link_ = std::move(link);
    path.made_clsact_ = made_clsact;
    return path;
}

Result<SlowPath> SlowPath::attach(const Fd &program, const Netdev &dev, SlowPath *before) {
    SlowPath path;
    if (before && before->link_) {
        if (int err = bpf_link_update(before->link_.get(), program.get(), nullptr))
            return fail_errno(err, "replace the tc egress program of " + dev.name);
        path.link_ = Fd(fcntl(before->link_.get(), F_DUPFD_CLOEXEC, 0));
    } else if (!before) {
        path.link_ = Fd(bpf_link_create(program.get(), static_cast<int>(dev.ifindex), kTcxEgress, nullptr));
    }
    if (path.link_) {
        path.ifindex_ = dev.ifindex;
        if (before)
            before->leave();
        return path;
    }
    LibbpfLog log; // EEXIST is no news
    bpf_tc_hook hook = egress_of(dev.ifindex, false);
    const int made = bpf_tc_hook_create(&hook);
    if (made != 0 && made != -EEXIST)
        return fail_errno(-made, "add clsact to " + dev.name, log.tail());
    path.made_clsact_ = made == 0 || (before && before->made_clsact_);
    path.ifindex_ = dev.ifindex;
    bpf_tc_opts filter = our_filter();
    filter.prog_fd = program.get();
    filter.flags = BPF_TC_F_REPLACE;
    if (int err = bpf_tc_attach(&hook, &filter))
        return fail_errno(-err, "attach the tc egress program to " + dev.name, log.tail());
    if (before)
        before->leave();
    return path;
}

} // namespace sluice
