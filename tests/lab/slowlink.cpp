// slowlink: the lab's link emulator. Wires the TAPs, the stamps, the control socket and the link, and sleeps
// until the next deadline. What it must not do: keep a queue of its own in front of the link, or use anything
// that sluice measures.
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <poll.h>
#include <sched.h>
#include <sstream>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>

#include "control_socket.hpp"
#include "link.hpp"
#include "options.hpp"
#include "report.hpp"
#include "reverse_path.hpp"
#include "tap.hpp"

namespace lab {

namespace {

using sluice::Result;

Result<RateSchedule> make_schedule(const Options &options) {
    auto rate = parse_rate(options.rate);
    if (!rate)
        return tl::unexpected(rate.error());
    RateSchedule schedule(*rate, now_ns());
    std::string plan = options.schedule;
    if (!options.trace_file.empty()) {
        std::ostringstream trace;
        trace << std::ifstream(options.trace_file).rdbuf();
        plan += "\n" + trace.str();
    }
    if (auto ok = schedule.plan(plan); !ok)
        return tl::unexpected(ok.error());
    return schedule;
}

std::array<uint8_t, 6> parse_mac(const std::string &text) {
    std::array<unsigned, 6> m{};
    std::sscanf(text.c_str(), "%x:%x:%x:%x:%x:%x", &m[0], &m[1], &m[2], &m[3], &m[4], &m[5]);
    std::array<uint8_t, 6> mac{};
    std::copy(m.begin(), m.end(), mac.begin());
    return mac;
}

Result<Link> make_link(const Options &options) {
    auto schedule = make_schedule(options);
    if (!schedule)
        return tl::unexpected(schedule.error());
    auto inside = InNetns::enter(options.tap_netns);
    if (!inside)
        return tl::unexpected(inside.error());
    auto slow = open_tap(options.tap, "", options.queues);
    if (!slow)
        return tl::unexpected(slow.error());
    auto sink = open_tap(options.sink_tap, options.sink_netns, 1);
    if (!sink)
        return tl::unexpected(sink.error());
    auto stamps = Stamps::attach(options.source, options.tap);
    if (!stamps)
        return tl::unexpected(stamps.error());
    const LinkParameters parameters{.propagation_ns = static_cast<uint64_t>(options.delay_ms * 1e6),
                                    .overhead = options.overhead,
                                    .mpu = options.mpu,
                                    .wake_credit_ns = static_cast<uint64_t>(options.wake_credit_us * 1e3),
                                    .source_mac = parse_mac(options.source_mac),
                                    .source = options.source};
    return Link(std::move(*slow), std::move(sink->front()), std::move(*schedule), parameters,
                std::move(*stamps));
}

// A link is hardware: it does not wait for the processes that use it. Failing to get real time is not fatal.
void behave_like_hardware(const Options &options) {
    prctl(PR_SET_TIMERSLACK, 1);
    mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);
    const sched_param priority{.sched_priority = 10};
    if (options.realtime && sched_setscheduler(0, SCHED_FIFO, &priority) < 0)
        std::perror("slowlink: no real-time priority");
}

std::string answer(Link &link, const ReversePath &reverse, const std::string &command) {
    const uint64_t now = now_ns();
    if (command == "stats")
        return live_stats(link, reverse.counts(), now).dump();
    if (command == "go")
        link.go(now);
    else if (command == "pause")
        link.pause(now);
    else if (command == "resume")
        link.resume(now);
    else if (auto rate = parse_rate(command.starts_with("rate ") ? command.substr(5) : "?"))
        link.set_rate(now, *rate);
    else
        return R"({"error": "commands: stats, go, pause, resume, rate 50mbit"})";
    return nlohmann::json{{"ok", true}, {"time_ns", now}}.dump();
}

class Loop {
  public:
    Loop(Link &link, const ReversePath &reverse, ControlSocket *control, int signals, const Options &options)
        : link_(link), reverse_(reverse), control_(control),
          slack_ns_(static_cast<uint64_t>(options.slack_us * 1e3)), busy_poll_(options.busy_poll) {
        polls_.push_back({signals, POLLIN, 0});
        polls_.push_back({control ? control->poll_fd() : -1, POLLIN, 0});
        for (const Fd &queue : link.slow())
            polls_.push_back({queue.get(), POLLIN, 0});
    }

    void run() {
        while (!(polls_[0].revents & POLLIN)) {
            if (polls_[1].revents & POLLIN)
                control_->serve([&](const std::string &command) { return answer(link_, reverse_, command); });
            wait_until(link_.step(now_ns()));
        }
    }

  private:
    void wait_until(uint64_t next_ns) {
        const uint64_t now = now_ns();
        const uint64_t wait = busy_poll_ || next_ns <= now ? 0 : next_ns - now + slack_ns_;
        const timespec timeout{static_cast<time_t>(wait / 1'000'000'000),
                               static_cast<long>(wait % 1'000'000'000)};
        const bool watch_slow = link_.starved() && link_.schedule().rate(now) > 0;
        const nfds_t count = watch_slow ? polls_.size() : 2;
        for (auto &p : polls_)
            p.revents = 0;
        ppoll(polls_.data(), count, next_ns == never_ns && !busy_poll_ ? nullptr : &timeout, nullptr);
        link_.woke();
    }

    Link &link_;
    const ReversePath &reverse_;
    ControlSocket *control_;
    uint64_t slack_ns_; // arming a timer costs microseconds: deadlines closer than this share one
    bool busy_poll_;
    std::vector<pollfd> polls_;
};

Result<> run(const Options &options) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    const Fd signals(signalfd(-1, &set, SFD_CLOEXEC));

    auto link = make_link(options);
    if (!link)
        return tl::unexpected(link.error());
    Result<ControlSocket> control = sluice::fail("none");
    if (!options.control_socket.empty() && !(control = ControlSocket::listen(options.control_socket)))
        return tl::unexpected(control.error());
    behave_like_hardware(options);
    const ReversePath reverse(link->sink().get(), link->slow().front().get(),
                              static_cast<uint64_t>(options.delay_ms * 1e6),
                              static_cast<uint64_t>(options.slack_us * 1e3));
    std::puts("ready");
    std::fflush(stdout);
    Loop(*link, reverse, control ? &*control : nullptr, signals.get(), options).run();
    if (!options.json_file.empty())
        std::ofstream(options.json_file)
            << final_report(*link, reverse.counts(), options.windows, now_ns()).dump() << "\n";
    return {};
}

} // namespace

} // namespace lab

int main(int argc, char **argv) {
    const auto done = lab::run(lab::parse_options(argc, argv));
    if (!done)
        std::fprintf(stderr, "slowlink: %s\n", sluice::to_string(done.error()).c_str());
    return done ? 0 : 1;
}
