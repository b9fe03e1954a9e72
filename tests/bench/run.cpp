#include "run.hpp"

#include <algorithm>
#include <bpf/bpf.h>
#include <cerrno>
#include <ctime>

#include <linux/bpf.h>

namespace sluice::bench {
namespace {

constexpr uint32_t kBatch = 64; // the NAPI budget

xdp_md context_of(const Shot &shot) {
    xdp_md md{};
    md.data_end = static_cast<uint32_t>(shot.frame.size());
    md.ingress_ifindex = shot.ingress_ifindex;
    return md;
}

uint64_t thread_cpu_ns() {
    timespec t{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(t.tv_nsec);
}

Result<double> live_call_ns(const Shot &shot, uint32_t frames) {
    xdp_md md = context_of(shot);
    LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = shot.frame.data(),
                .data_size_in = static_cast<uint32_t>(shot.frame.size()), .ctx_in = &md,
                .ctx_size_in = sizeof(md), .repeat = static_cast<int>(frames),
                .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = kBatch);
    const uint64_t start = thread_cpu_ns();
    if (int err = bpf_prog_test_run_opts(shot.program_fd, &opts))
        return fail_errno(err, "run live frames", "needs kernel 5.18 and CAP_BPF, CAP_NET_ADMIN");
    return static_cast<double>(thread_cpu_ns() - start);
}

// What a call costs whatever its length: the least of a few, since an interrupt would count against all
// frames.
Result<double> fixed_call_ns(const Shot &shot) {
    auto least = live_call_ns(shot, kBatch);
    for (int i = 0; i < 3 && least; i++)
        least = live_call_ns(shot, kBatch).map([&](double ns) { return std::min(ns, *least); });
    return least;
}

} // namespace

Result<double> run_live(const Shot &shot) {
    const auto fixed = fixed_call_ns(shot);
    if (!fixed)
        return fixed;
    return live_call_ns(shot, shot.frames).map([&](double ns) {
        return (ns - *fixed) / (shot.frames - kBatch);
    });
}

Result<double> run_test(const Shot &shot) {
    xdp_md md = context_of(shot);
    std::vector<uint8_t> out(256);
    LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = shot.frame.data(), .data_out = out.data(),
                .data_size_in = static_cast<uint32_t>(shot.frame.size()),
                .data_size_out = static_cast<uint32_t>(out.size()), .ctx_in = &md, .ctx_size_in = sizeof(md),
                .repeat = static_cast<int>(shot.frames));
    if (int err = bpf_prog_test_run_opts(shot.program_fd, &opts))
        return fail_errno(err, "run a program over one frame");
    return opts.duration;
}

} // namespace sluice::bench
