// Instructions per packet of whole forwarding paths: from the frame's arrival at the fast veth to the far end of the slow
// one, by XDP and by the kernel with its queue disciplines. Only meaningful in a guest with virtual time, where one
// instruction is one nanosecond and nothing else runs: wall clock = instructions. JSON on stdout.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <nlohmann/json.hpp>

#include "../bench/session.hpp"
#include "../bench/world.hpp"
#include "core/clock.hpp"
#include "frames.skel.h"

namespace sluice::bench {
namespace {

constexpr uint32_t kFlows = 64, kBatch = 64, kFewer = 4096, kMore = 12288;

struct SkeletonDeleter {
    void operator()(frames *s) const { frames__destroy(s); }
};
using Frames = std::unique_ptr<frames, SkeletonDeleter>;

class Paths {
  public:
    explicit Paths(const World &world) : world_(world) {}
    Result<> open();
    Result<> measure_all();
    const nlohmann::json &figures() const { return figures_; }

  private:
    Result<double> run(int program, uint32_t frames);
    Result<> measure(const std::string &name, int program);
    Result<> bare(const std::string &name, int program);
    Result<> sluice_path(const std::string &name, const SluiceSetup &setup);
    Result<> kernel(const std::string &name, const std::vector<std::string> &tc);

    World world_;
    Frames frames_;
    Fd recycler_;
    nlohmann::json figures_;
};

Result<> Paths::open() {
    frames_.reset(frames__open());
    if (!frames_)
        return fail_errno(errno, "open the BPF object of the bench");
    std::memcpy(frames_->rodata->source_mac, kSourceMac.data(), 6);
    std::memcpy(frames_->rodata->fast_mac, kFastMac.data(), 6);
    frames_->rodata->egress_ifindex = world_.slow;
    if (int err = frames__load(frames_.get()))
        return fail_errno(err, "load the BPF programs of the bench");
    if (int err = bpf_map__update_elem(frames_->maps.devices, &world_.slow, 4, &world_.slow, 4, BPF_ANY))
        return fail_errno(err, "enter the slow veth into the devmap");
    frames_->bss->flow_mask = kFlows - 1;
    return attach_xdp(bpf_program__fd(frames_->progs.recycle), world_.slow_peer).map([this](Fd link) {
        recycler_ = std::move(link);
    });
}

Result<double> Paths::run(int program, uint32_t frames) {
    const auto frame = make_frame(Family::ipv4);
    xdp_md md{};
    md.data_end = static_cast<uint32_t>(frame.size());
    md.ingress_ifindex = world_.fast;
    LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame.data(),
                .data_size_in = static_cast<uint32_t>(frame.size()), .ctx_in = &md, .ctx_size_in = sizeof(md),
                .repeat = static_cast<int>(frames), .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = kBatch);
    const uint64_t start = monotonic_ns();
    if (int err = bpf_prog_test_run_opts(program, &opts))
        return fail_errno(err, "run live frames");
    return static_cast<double>(monotonic_ns() - start);
}

// The slope between a short and a long run: what a call costs by itself falls out. Every frame must arrive.
Result<> Paths::measure(const std::string &name, int program) {
    frames_->bss->recycled = 0;
    for (uint32_t frames : {kBatch, kFewer}) // caches of the allocators, neighbours, first look-ups
        if (auto warm = run(program, frames); !warm)
            return fail(name + ": " + warm.error().what);
    const auto fewer = run(program, kFewer), more = run(program, kMore);
    if (!fewer || !more)
        return fail(name + ": " + (fewer ? more : fewer).error().what);
    constexpr uint64_t kSent = kBatch + 2 * kFewer + kMore;
    if (frames_->bss->recycled < kSent - kBatch)
        return fail(name + ": only " + std::to_string(frames_->bss->recycled) + " of " + std::to_string(kSent) +
                    " frames arrived");
    figures_[name] = static_cast<int>((*more - *fewer) / (kMore - kFewer) + 0.5);
    return {};
}

Result<> Paths::bare(const std::string &name, int program) {
    const auto link = attach_xdp(program, world_.fast);
    return link ? measure(name, program) : Result<>(tl::unexpected(link.error()));
}

Result<> Paths::sluice_path(const std::string &name, const SluiceSetup &setup) {
    const auto session = SluiceSession::open(setup, 0);
    return session ? measure(name, (*session)->ingress_fd()) : Result<>(tl::unexpected(session.error()));
}

// The frame is passed to the stack, which routes it and sends it through the queue discipline.
Result<> Paths::kernel(const std::string &name, const std::vector<std::string> &tc) {
    for (const auto &arguments : tc)
        if (std::system(("tc " + arguments).c_str()) != 0)
            return fail(name + ": tc " + arguments + " failed");
    auto measured = bare(name, bpf_program__fd(frames_->progs.pass));
    if (!tc.empty() && std::system("tc qdisc del dev slow0 root") != 0)
        return fail(name + ": cannot remove the queue discipline");
    return measured;
}

Result<> Paths::measure_all() {
    const std::string root = "qdisc add dev slow0 root ";
    const std::string htb = root + "handle 1: htb default 10",
                      rate = "class add dev slow0 parent 1: classid 1:10 htb rate 10gbit burst 1m cburst 1m";
    const std::vector<std::function<Result<>()>> rows = {
        [&] { return bare("xdp redirect", bpf_program__fd(frames_->progs.bare_redirect)); },
        [&] { return bare("xdp fib redirect", bpf_program__fd(frames_->progs.bare_fib)); },
        [&] { return sluice_path("sluice xconnect", {Forward::xconnect, Hook::tracepoint, "10gbit"}); },
        [&] { return sluice_path("sluice fib", {Forward::fib, Hook::tracepoint, "10gbit"}); },
        [&] { return kernel("kernel noqueue", {}); },
        [&] { return kernel("kernel pfifo", {root + "pfifo limit 1000"}); },
        [&] { return kernel("kernel fq_codel", {root + "fq_codel"}); },
        [&] { return kernel("kernel htb+pfifo", {htb, rate, "qdisc add dev slow0 parent 1:10 pfifo limit 1000"}); },
        [&] { return kernel("kernel htb+fq_codel", {htb, rate, "qdisc add dev slow0 parent 1:10 fq_codel"}); },
        [&] { return kernel("kernel cake", {root + "cake bandwidth 10gbit besteffort"}); },
    };
    for (const auto &row : rows)
        if (auto r = row(); !r)
            return r;
    return {};
}

Result<nlohmann::json> all_figures() {
    const auto world = enter_world();
    if (!world)
        return tl::unexpected(world.error());
    Paths paths(*world);
    return paths.open().and_then([&] { return paths.measure_all(); }).map([&] { return paths.figures(); });
}

} // namespace
} // namespace sluice::bench

int main() {
    const auto figures = sluice::bench::all_figures();
    if (!figures) {
        std::fprintf(stderr, "forwarding_cost: %s\n", to_string(figures.error()).c_str());
        return 1;
    }
    std::printf("%s\n", figures->dump(1).c_str());
    return 0;
}
