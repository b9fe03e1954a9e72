#include "session.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cerrno>
#include <linux/if_link.h>
#include <sched.h>

#include "core/clock.hpp"
#include "policy/load.hpp"
#include "world.hpp"

namespace sluice::bench {
namespace {

std::string policy_text(const SluiceSetup &setup) {
    return std::string("version: 1\nports:\n  fast: {device: ") + kFast + "}\n  slow: {device: " + kSlow +
           ", rate: " + setup.rate + "}\ntransitions:\n  - {from: fast, to: slow, forward: " +
           (setup.forward == Forward::fib ? "fib" : "xconnect") + "}\n";
}

void run_on(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<size_t>(cpu), &set);
    sched_setaffinity(0, sizeof(set), &set);
}

Result<Fd> attached_program(const char *device, uint32_t ifindex) {
    uint32_t id = 0;
    if (int err = bpf_xdp_query_id(static_cast<int>(ifindex), 0, &id))
        return fail_errno(err, std::string("ask for the XDP program of ") + device);
    Fd fd(bpf_prog_get_fd_by_id(id));
    if (!fd)
        return fail_errno(errno, std::string("open the XDP program of ") + device);
    return fd;
}

} // namespace

Result<std::unique_ptr<SluiceSession>> SluiceSession::open(const SluiceSetup &setup, int loop_cpu) {
    auto session = std::make_unique<SluiceSession>();
    if (auto r = session->start(setup, loop_cpu); !r)
        return tl::unexpected(r.error());
    return session;
}

Result<> SluiceSession::start(const SluiceSetup &setup, int loop_cpu) {
    LoadResult loaded = load_policy_text(policy_text(setup), "bench");
    if (!loaded.policy)
        return fail("the policy of the bench is not valid: " + format(loaded.diagnostics.front()));
    const CompiledPolicy policy = compile(std::move(*loaded.policy));
    auto dataplane = Dataplane::load(policy, {.hook = setup.hook});
    if (!dataplane)
        return tl::unexpected(dataplane.error());
    dataplane_ = std::move(*dataplane);
    loop_ = std::make_unique<Loop>(*dataplane_, policy, wake_);
    events_ = std::make_unique<EventReader>([this] { wake_.raise(); });
    if (auto r = events_->open(dataplane_->events_fd()); !r)
        return r;
    loop_->tick(monotonic_ns());
    event_thread_ = std::jthread([this, loop_cpu](const std::stop_token &stop) {
        run_on(loop_cpu);
        events_->run(stop);
    });
    loop_thread_ = std::jthread([this, loop_cpu](const std::stop_token &stop) {
        run_on(loop_cpu);
        loop_->run(stop);
    });
    if (auto r = dataplane_->attach(); !r)
        return r;
    auto fd = attached_program(kFast, dataplane_->ports()[0].dev.ifindex);
    if (!fd)
        return tl::unexpected(fd.error());
    ingress_ = std::move(*fd);
    return {};
}

std::string SluiceSession::counts() const {
    const Maps &maps = dataplane_->maps();
    uint64_t outcome[SLUICE_CLASS_OUTCOMES] = {}, lost = 0;
    for (uint32_t cpu = 0; cpu < maps.cpus; cpu++) {
        for (size_t i = 0; i < SLUICE_CLASS_OUTCOMES; i++)
            outcome[i] += maps.class_count(dataplane_->class_base(), cpu).outcome[i];
        for (const uint64_t n : maps.tx_of(1, cpu).drops)
            lost += n;
    }
    return "forwarded " + std::to_string(outcome[SLUICE_FORWARD]) + ", dropped by CoDel " +
           std::to_string(outcome[SLUICE_DROP_CODEL]) + ", by limit " +
           std::to_string(outcome[SLUICE_DROP_LIMIT]) + ", by ring guard " +
           std::to_string(outcome[SLUICE_DROP_RING]) + ", by the kernel " + std::to_string(lost);
}

void SluiceSession::freeze(FlowState state) {
    loop_thread_ = {};
    constexpr uint64_t kNever = ~0ull >> 2;
    sluice_class &c = dataplane_->maps().classes[dataplane_->class_base()];
    for (auto &share : c.share) {
        share.bytes_per_ns = 0;
        share.ns_per_byte = 1 << 10; // 1 ns per kilobyte keeps the product in range
        share.target_bytes = state == FlowState::idle ? kNever : 0;
        share.step_bytes = kNever;
        share.limit_bytes = share.short_limit_bytes = state == FlowState::above_limit ? 1 : kNever;
    }
    c.codel = {1, 100'000'000};
    dataplane_->maps().control[0].wake = 0;
}

Result<Fd> attach_xdp(int program_fd, uint32_t ifindex) {
    LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = XDP_FLAGS_DRV_MODE);
    Fd link(bpf_link_create(program_fd, static_cast<int>(ifindex), BPF_XDP, &opts));
    if (!link)
        return fail_errno(errno, "attach XDP to interface " + std::to_string(ifindex));
    return link;
}

} // namespace sluice::bench
