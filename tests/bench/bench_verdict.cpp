// How long a flow that begins to send more than its share goes unnoticed: frames and time from the first
// frame above the rate to the first mark or drop. Real frames through the veth pair, the daemon's own control
// loop, one flow that has sent below the rate before.
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <optional>

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <nlohmann/json.hpp>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include "core/clock.hpp"
#include "frames.skel.h"
#include "machine.hpp"
#include "session.hpp"
#include "statistics.hpp"
#include "world.hpp"

namespace {

using namespace sluice;
using namespace sluice::bench;
using Json = nlohmann::ordered_json;

constexpr size_t kFrame = 1514, kWire = kFrame + 24;
constexpr size_t kTos = 15, kIpChecksum = 24, kLength = 16, kSourcePort = 34;
constexpr double kBelow = 0.5, kBefore_s = 0.5, kPatience_s = 3;

struct Flow {
    const char *name;
    uint8_t ecn;
};
constexpr Flow kFlows[] = {{"not-ECT", 0}, {"ECT(0)", 2}, {"ECT(1), L4S", 1}};
constexpr double kOverloads[] = {1.1, 1.5, 2, 10};

struct Options {
    double rate_mbit = 100;
    uint32_t trials = 11;
    std::string json;
};

struct Signal {
    uint32_t outcome = 0;
    double frames = 0, us = 0;
};

// What the class has told this flow so far, by outcome.
std::array<uint64_t, SLUICE_CLASS_OUTCOMES> signals(Dataplane &dataplane) {
    std::array<uint64_t, SLUICE_CLASS_OUTCOMES> sum{};
    const Maps &maps = dataplane.maps();
    for (uint32_t cpu = 0; cpu < maps.cpus; cpu++)
        for (size_t i = SLUICE_MARK; i < sum.size(); i++)
            sum[i] +=
                __atomic_load_n(&maps.class_count(dataplane.class_base(), cpu).outcome[i], __ATOMIC_RELAXED);
    return sum;
}

class Source {
  public:
    static Result<Source> open() {
        Source s;
        s.socket_ = Fd(socket(AF_PACKET, SOCK_RAW, 0));
        sockaddr_ll to{};
        to.sll_family = AF_PACKET;
        to.sll_ifindex = static_cast<int>(if_nametoindex("fast1"));
        if (!s.socket_ || bind(s.socket_.get(), reinterpret_cast<sockaddr *>(&to), sizeof(to)) != 0)
            return fail_errno(errno, "open a packet socket at the far end of the fast veth");
        return s;
    }
    void become(const Flow &flow, uint16_t source_port) {
        frame_ = make_frame(Family::ipv4);
        frame_.resize(kFrame);
        put(kLength, kFrame - ETH_HLEN);
        put(kSourcePort, source_port);
        frame_[kTos] = flow.ecn;
        put(kIpChecksum, 0);
        uint32_t sum = 0;
        for (size_t i = ETH_HLEN; i < ETH_HLEN + 20; i += 2)
            sum += static_cast<uint32_t>(frame_[i] << 8 | frame_[i + 1]);
        sum = (sum & 0xffff) + (sum >> 16);
        put(kIpChecksum, ~((sum & 0xffff) + (sum >> 16)));
    }
    // Until `done` says so, asked after each frame, or patience ends.
    void send(double bytes_per_s, double seconds, const std::function<bool(double frames)> &done) {
        const double gap_ns = kWire * 1e9 / bytes_per_s;
        const uint64_t begin = monotonic_ns();
        for (double sent = 0; static_cast<double>(monotonic_ns() - begin) < seconds * 1e9;) {
            if (static_cast<double>(monotonic_ns() - begin) < sent * gap_ns)
                continue;
            if (write(socket_.get(), frame_.data(), frame_.size()) < 0) {
                std::perror("\nbench_verdict: send a frame");
                return;
            }
            if (done(++sent))
                return;
        }
    }

  private:
    void put(size_t at, uint32_t value) {
        frame_[at] = static_cast<uint8_t>(value >> 8);
        frame_[at + 1] = static_cast<uint8_t>(value);
    }
    Fd socket_;
    std::vector<uint8_t> frame_;
};

std::optional<Signal> first_signal(Source &source, Dataplane &dataplane, double rate, double overload) {
    source.send(rate * kBelow, kBefore_s, [](double) { return false; });
    const auto before = signals(dataplane);
    const uint64_t begin = monotonic_ns();
    std::optional<Signal> result;
    source.send(rate * overload, kPatience_s, [&](double frames) {
        const auto now = signals(dataplane);
        const auto at = std::mismatch(now.begin(), now.end(), before.begin()).first;
        if (at != now.end())
            result = {static_cast<uint32_t>(at - now.begin()), frames,
                      static_cast<double>(monotonic_ns() - begin) / 1e3};
        return result.has_value();
    });
    return result;
}

const char *name_of(uint32_t outcome) {
    return outcome == SLUICE_MARK         ? "CE mark"
           : outcome == SLUICE_DROP_CODEL ? "CoDel drop"
           : outcome == SLUICE_DROP_LIMIT ? "limit drop"
                                          : "ring guard";
}

Result<Json> measure(Source &source, SluiceSession &session, const Options &options, const Flow &flow,
                     double overload) {
    std::vector<double> frames, us;
    std::array<uint32_t, SLUICE_CLASS_OUTCOMES> by{};
    for (uint32_t i = 0; i < options.trials; i++) {
        usleep(100'000);
        source.become(flow, static_cast<uint16_t>(2000 + i));
        const auto signal = first_signal(source, session.dataplane(), options.rate_mbit * 1e6 / 8, overload);
        if (!signal)
            return fail(std::string(flow.name) + ": no signal within seconds; " + session.counts());
        frames.push_back(signal->frames);
        us.push_back(signal->us);
        by[signal->outcome]++;
    }
    const auto most = static_cast<uint32_t>(std::max_element(by.begin(), by.end()) - by.begin());
    const Figures f = figures(frames), t = figures(us);
    std::printf("%-12s %8.1f  %-11s %8.0f %7.0f..%-7.0f %9.1f %8.1f..%-8.1f\n", flow.name, overload,
                name_of(most), f.median_ns, f.p10_ns, f.p90_ns, t.median_ns / 1e3, t.p10_ns / 1e3,
                t.p90_ns / 1e3);
    return Json{{"flow", flow.name},
                {"overload", overload},
                {"signal", name_of(most)},
                {"frames", {{"median", f.median_ns}, {"p10", f.p10_ns}, {"p90", f.p90_ns}}},
                {"us", {{"median", t.median_ns}, {"p10", t.p10_ns}, {"p90", t.p90_ns}}},
                {"trials", f.rounds}};
}

Result<> run(const Options &options) {
    const auto world = enter_world();
    if (!world)
        return tl::unexpected(world.error());
    const std::unique_ptr<frames, decltype(&frames__destroy)> far_end(frames__open_and_load(),
                                                                      frames__destroy);
    if (!far_end)
        return fail_errno(errno, "load the BPF programs of the bench");
    const auto sink = attach_xdp(bpf_program__fd(far_end->progs.nothing), world->slow_peer);
    if (!sink)
        return tl::unexpected(sink.error());
    auto session = SluiceSession::open(
        {Forward::fib, Hook::tracepoint, std::to_string(static_cast<int>(options.rate_mbit)) + "mbit"}, 0);
    auto source = Source::open();
    if (!session)
        return tl::unexpected(session.error());
    if (!source)
        return tl::unexpected(source.error());
    std::printf("%-12s %8s  %-11s %8s %16s %9s %18s\n", "flow", "x rate", "signal", "frames", "p10..p90",
                "ms", "p10..p90");
    Json rows = Json::array();
    for (const Flow &flow : kFlows)
        for (const double overload : kOverloads) {
            const auto row = measure(*source, **session, options, flow, overload);
            if (!row)
                return tl::unexpected(row.error());
            rows.push_back(*row);
        }
    if (options.json.empty())
        return {};
    const Machine m = this_machine();
    std::ofstream out(options.json);
    out << Json{{"machine", {{"kernel", m.kernel}, {"cpu", m.cpu_model}, {"cpus", m.cpus}, {"date", m.date}}},
                {"rate_mbit", options.rate_mbit},
                {"verdict", rows}}
               .dump(2)
        << "\n";
    return out ? Result<>{} : fail("write " + options.json);
}

} // namespace

int main(int argc, char **argv) {
    CLI::App app{"Frames and time from the first frame above the rate to the first mark or drop"};
    Options options;
    app.add_option("--rate", options.rate_mbit, "of the slow port, Mbit/s")->check(CLI::Range(1.0, 400.0));
    app.add_option("--trials", options.trials, "of each kind")->check(CLI::Range(1u, 1000u));
    app.add_option("--json", options.json, "write the figures to this file");
    CLI11_PARSE(app, argc, argv);
    cpu_set_t last;
    CPU_ZERO(&last);
    CPU_SET(static_cast<size_t>(sysconf(_SC_NPROCESSORS_ONLN) - 1), &last);
    sched_setaffinity(0, sizeof(last), &last); // the control loop runs on CPU 0
    if (const auto r = run(options); !r) {
        std::fprintf(stderr, "bench_verdict: %s\n", to_string(r.error()).c_str());
        return 1;
    }
    return 0;
}
