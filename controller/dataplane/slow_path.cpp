#include "dataplane/slow_path.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cerrno>
#include <utility>

#include "dataplane/libbpf_log.hpp"

namespace sluice {
namespace {

constexpr auto kTcxEgress = static_cast<bpf_attach_type>(47); // BPF_TCX_EGRESS, since Linux 6.6

bpf_tc_hook egress_of(uint32_t ifindex, bool whole) {
    bpf_tc_hook hook{};
    hook.sz = sizeof(hook);
    hook.ifindex = static_cast<int>(ifindex);
    hook.attach_point =
        static_cast<bpf_tc_attach_point>(whole ? BPF_TC_INGRESS | BPF_TC_EGRESS : BPF_TC_EGRESS);
    return hook;
}

} // namespace

SlowPath::SlowPath(SlowPath &&other) noexcept
    : link_(std::move(other.link_)), ifindex_(std::exchange(other.ifindex_, 0)), handle_(other.handle_),
      priority_(other.priority_), made_clsact_(other.made_clsact_) {}

SlowPath::~SlowPath() {
    if (!ifindex_)
        return;
    bpf_tc_hook hook = egress_of(ifindex_, made_clsact_), egress = egress_of(ifindex_, false);
    bpf_tc_opts filter{};
    filter.sz = sizeof(filter);
    filter.handle = handle_;
    filter.priority = priority_;
    bpf_tc_detach(&egress, &filter);
    if (made_clsact_)
        bpf_tc_hook_destroy(&hook);
}

Result<SlowPath> SlowPath::attach(const Fd &program, const Netdev &dev) {
    SlowPath path;
    path.link_ = Fd(bpf_link_create(program.get(), static_cast<int>(dev.ifindex), kTcxEgress, nullptr));
    if (path.link_)
        return path;
    LibbpfLog log; // EEXIST is no news
    bpf_tc_hook hook = egress_of(dev.ifindex, false);
    const int made = bpf_tc_hook_create(&hook);
    if (made != 0 && made != -EEXIST)
        return fail_errno(-made, "add clsact to " + dev.name, log.tail());
    path.made_clsact_ = made == 0;
    path.ifindex_ = dev.ifindex;
    bpf_tc_opts filter{};
    filter.sz = sizeof(filter);
    filter.prog_fd = program.get();
    if (int err = bpf_tc_attach(&hook, &filter))
        return fail_errno(-err, "attach the tc egress program to " + dev.name, log.tail());
    path.handle_ = filter.handle;
    path.priority_ = filter.priority;
    return path;
}

} // namespace sluice
