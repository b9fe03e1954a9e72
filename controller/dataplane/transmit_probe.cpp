#include "dataplane/transmit_probe.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "probe.skel.h"

namespace sluice {
namespace {

struct SkeletonDeleter {
    void operator()(probe *s) const { probe__destroy(s); }
};
using Probe = std::unique_ptr<probe, SkeletonDeleter>;
using Frame = std::array<uint8_t, 60>;

// To the nearest bridge, which keeps it (IEEE 802.1Q table 8-1), of the EtherType for local experiments
// (IEEE 802, clause 9.2.4).
Frame probe_frame(const Netdev &dev) {
    Frame frame{0x01, 0x80, 0xc2, 0x00, 0x00, 0x00};
    std::copy(dev.mac.begin(), dev.mac.end(), frame.begin() + 6);
    frame[12] = 0x88;
    frame[13] = 0xb5;
    return frame;
}

Result<Probe> load_probe(const Netdev &dev) {
    const auto netns = this_netns();
    if (!netns)
        return tl::unexpected(netns.error());
    Probe object(probe__open());
    if (!object)
        return fail_errno(errno, "open the probe for " + dev.name);
    object->rodata->target = dev.ifindex;
    object->rodata->netns = *netns;
    if (int err = probe__load(object.get()))
        return fail_errno(err, "load the probe for " + dev.name);
    if (int err = probe__attach(object.get()))
        return fail_errno(err, "attach the probe for " + dev.name);
    return object;
}

} // namespace

Result<bool> takes_redirected_frame(const Netdev &dev) {
    auto object = load_probe(dev);
    if (!object)
        return tl::unexpected(object.error());
    Frame frame = probe_frame(dev);
    xdp_md context{};
    context.data_end = frame.size();
    LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame.data(), .data_size_in = frame.size(),
                .ctx_in = &context, .ctx_size_in = sizeof(context), .repeat = 1,
                .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = 1);
    if (int err = bpf_prog_test_run_opts(bpf_program__fd((*object)->progs.sluice_probe), &run))
        return fail_errno(err, "send a probe to " + dev.name);
    return __atomic_load_n(&(*object)->bss->taken, __ATOMIC_RELAXED) > 0;
}

} // namespace sluice
