#include "suite.hpp"

#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <utility>

#include "frames.skel.h"
#include "parts.hpp"
#include "run.hpp"
#include "session.hpp"

namespace sluice::bench {
namespace {

struct SkeletonDeleter {
    void operator()(frames *s) const { frames__destroy(s); }
};
using Frames = std::unique_ptr<frames, SkeletonDeleter>;

struct Row {
    const char *program;
    SluiceSetup setup;
    bool quick;
};
const Row kRows[] = {
    {"sluice_xconnect", {Forward::xconnect, Hook::tracepoint, "100gbit"}, true},
    {"sluice_fib", {Forward::fib, Hook::tracepoint, "100gbit"}, true},
    {"sluice_xconnect_devmap_hook", {Forward::xconnect, Hook::devmap, "100gbit"}, false},
    {"sluice_fib_devmap_hook", {Forward::fib, Hook::devmap, "100gbit"}, false},
    {"sluice_fib_flood", {Forward::fib, Hook::tracepoint, "1gbit"}, false}, // nearly all dropped at ingress
};
constexpr const char *kFlood = "sluice_fib_flood";
constexpr double kEnough = 0.99; // of the frames must arrive for a shot to count
constexpr int kAttempts = 8;

class Suite {
  public:
    Suite(const World &world, const SuiteOptions &options) : world_(world), options_(options) {}

    Result<> open();
    Result<> round();
    Rounds take() { return std::move(rounds_); }

  private:
    Result<> bare_round(const char *program, int fd);
    Result<> sluice_round(const Row &row);
    Result<> live(const std::string &program, int fd);
    Result<double> complete_shot(const Shot &shot, bool all_arrive);
    Result<> live_family(const std::string &program, int fd, Family family, uint32_t flows);
    Result<> by_part(SluiceSession &session);
    Result<> test(const std::string &program, int fd);
    Result<> test_states(SluiceSession &session);

    World world_;
    SuiteOptions options_;
    Frames frames_;
    Fd recycler_;
    Rounds rounds_;
    std::vector<std::string> incomplete_; // variants of this round whose shots all lost frames
};

const char *name_of(Family family) {
    return family == Family::ipv4 ? "ipv4" : "ipv6";
}

Result<> Suite::open() {
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
    return attach_xdp(bpf_program__fd(frames_->progs.recycle), world_.slow_peer).map([this](Fd link) {
        recycler_ = std::move(link);
    });
}

// A shot that lost frames on the way is repeated: somebody else had the CPU for so long that the ring ran
// over, or the control loop did not get its turn. NaN when no attempt was complete.
Result<double> Suite::complete_shot(const Shot &shot, bool all_arrive) {
    for (int attempt = 0; attempt < kAttempts; attempt++) {
        frames_->bss->recycled = 0;
        const auto ns = run_live(shot);
        if (!ns || !all_arrive || static_cast<double>(frames_->bss->recycled) >= kEnough * shot.frames)
            return ns;
    }
    return std::nan("");
}

Result<> Suite::live_family(const std::string &program, int fd, Family family, uint32_t flows) {
    const std::string name =
        "live." + program + "." + name_of(family) + "." + std::to_string(flows) + "flows";
    frames_->bss->flow_mask = flows - 1;
    double least = std::nan("");
    for (uint32_t i = 0; i < options_.shots; i++) {
        const auto ns =
            complete_shot({fd, world_.fast, make_frame(family), options_.live_frames}, program != kFlood);
        if (!ns)
            return fail(name + ": " + ns.error().what);
        least = std::fmin(least, *ns);
    }
    if (std::isnan(least))
        incomplete_.push_back(name);
    else
        rounds_[name].push_back(least);
    return {};
}

Result<> Suite::live(const std::string &program, int fd) {
    return live_family(program, fd, Family::ipv4, 1)
        .and_then([&] { return live_family(program, fd, Family::ipv6, 1); })
        .and_then([&] { return live_family(program, fd, Family::ipv4, options_.many_flows); })
        .and_then([&] { return live_family(program, fd, Family::ipv6, options_.many_flows); });
}

// The whole program without a ring reader is the last but one of the steps.
Result<> Suite::by_part(SluiceSession &session) {
    const auto one_flow = [&](const std::string &step, int fd) {
        return live_family("part_" + step, fd, Family::ipv4, 1).and_then([&] {
            return live_family("part_" + step, fd, Family::ipv6, 1);
        });
    };
    const auto parts = Parts::open(session.ingress_fd(), session.dataplane());
    if (!parts)
        return tl::unexpected(parts.error());
    uint32_t &reader = session.dataplane().maps().ports[1].reader;
    return parts->each(one_flow).and_then([&] {
        const uint32_t was = std::exchange(reader, SLUICE_READER_NONE);
        const auto result = one_flow("send", session.ingress_fd());
        reader = was;
        return result;
    });
}

// The prologue freshens the frame, then jumps to the program.
Result<> Suite::test(const std::string &program, int fd) {
    const uint32_t zero = 0;
    if (int err = bpf_map__update_elem(frames_->maps.measured, &zero, 4, &fd, 4, BPF_ANY))
        return fail_errno(err, "enter " + program + " into the program array");
    frames_->bss->flow_mask = 0;
    for (Family family : {Family::ipv4, Family::ipv6}) {
        const auto ns = run_test({bpf_program__fd(frames_->progs.prologue), world_.fast, make_frame(family),
                                  options_.test_frames});
        if (!ns)
            return tl::unexpected(ns.error());
        rounds_["test." + program + "." + name_of(family)].push_back(*ns);
    }
    return {};
}

Result<> Suite::test_states(SluiceSession &session) {
    session.freeze(FlowState::idle);
    if (auto r = test("sluice_fib_idle", session.ingress_fd()); !r)
        return r;
    session.freeze(FlowState::above_target);
    if (auto r = test("sluice_fib_above_target", session.ingress_fd()); !r)
        return r;
    session.freeze(FlowState::above_limit);
    return test("sluice_fib_above_limit", session.ingress_fd());
}

Result<> Suite::bare_round(const char *program, int fd) {
    const auto link = attach_xdp(fd, world_.fast);
    return link ? live(program, fd) : Result<>(tl::unexpected(link.error()));
}

Result<> Suite::sluice_round(const Row &row) {
    auto session = SluiceSession::open(row.setup, options_.loop_cpu);
    if (!session)
        return tl::unexpected(session.error());
    if (auto r = live(row.program, (*session)->ingress_fd()); !r)
        return r;
    for (const auto &name : incomplete_)
        std::fprintf(stderr, "\n%s is left out of this round, frames were lost: %s\n", name.c_str(),
                     (*session)->counts().c_str());
    incomplete_.clear();
    if (options_.quick || std::strcmp(row.program, "sluice_fib") != 0)
        return {};
    return by_part(**session).and_then([&] { return test_states(**session); });
}

Result<> Suite::round() {
    const int redirect = bpf_program__fd(frames_->progs.bare_redirect),
              fib = bpf_program__fd(frames_->progs.bare_fib);
    if (auto r = bare_round("bare_redirect", redirect); !r)
        return r;
    if (auto r = bare_round("bare_fib", fib); !r)
        return r;
    for (const Row &row : kRows)
        if (row.quick || !options_.quick)
            if (auto r = sluice_round(row); !r)
                return r;
    if (options_.quick)
        return {};
    return test("nothing", bpf_program__fd(frames_->progs.nothing)).and_then([&] {
        return test("bare_fib", fib);
    });
}

} // namespace

Result<Rounds> run_suite(const World &world, const SuiteOptions &options,
                         const std::function<void(uint32_t round)> &progress) {
    Suite suite(world, options);
    if (auto r = suite.open(); !r)
        return tl::unexpected(r.error());
    for (uint32_t i = 0; i < options.rounds; i++) {
        progress(i);
        if (auto r = suite.round(); !r)
            return tl::unexpected(r.error());
    }
    return suite.take();
}

} // namespace sluice::bench
