// sluice-sim: one cell of the matrix, figures as JSON on standard output. `./dev bench scale` runs many of
// them.
#include "ns3/boolean.h"
#include "ns3/config.h"
#include "ns3/enum.h"
#include "ns3/global-value.h"
#include "ns3/nstime.h"
#include "ns3/rng-seed-manager.h"
#include "ns3/simulator.h"
#include "ns3/string.h"
#include "ns3/tcp-socket-state.h"
#include "ns3/uinteger.h"

#include <CLI/CLI.hpp>

#include <chrono>
#include <ctime>
#include <iostream>

#include "figures.hpp"
#include "rate_follower.hpp"
#include "ring_disc.hpp"
#include "trace.hpp"

namespace sluice::sim {
namespace {

using namespace ns3;

// Linux' values where ns-3's differ.
void set_tcp_defaults(const Cell &cell) {
    double longest_ms = 0;
    for (double rtt : cell.rtt_ms)
        longest_ms = std::max(longest_ms, rtt);
    // Twice what is under way at the full rate; like Linux 1 to 6 MB, and more only where one flow needs it.
    const double product = cell.slow_bps / 8 * (longest_ms * 1e-3 + 0.005);
    const double bytes = std::max(std::clamp(2 * product, 1e6, 6e6), 1.5 * product);
    const auto buffer = UintegerValue(static_cast<uint64_t>(bytes));
    Config::SetDefault("ns3::TcpSocket::SegmentSize", UintegerValue(1448));
    Config::SetDefault("ns3::TcpSocket::SndBufSize", buffer);
    Config::SetDefault("ns3::TcpSocket::RcvBufSize", buffer);
    Config::SetDefault("ns3::TcpSocket::InitialCwnd", UintegerValue(10));
    Config::SetDefault("ns3::TcpSocket::ConnTimeout", TimeValue(Seconds(1)));
    Config::SetDefault("ns3::TcpSocket::DelAckTimeout", TimeValue(MilliSeconds(40)));
    Config::SetDefault("ns3::TcpSocketBase::MinRto", TimeValue(MilliSeconds(200)));
    if (cell.ecn)
        Config::SetDefault("ns3::TcpSocketBase::UseEcn", EnumValue(TcpSocketState::On));
}

nlohmann::json run(const Cell &cell) {
    GlobalValue::Bind("SchedulerType", StringValue("ns3::HeapScheduler"));
    RngSeedManager::SetSeed(8289);
    RngSeedManager::SetRun(cell.seed);
    set_tcp_defaults(cell);
    const auto began = std::chrono::steady_clock::now();
    const Network network = build_network(cell);
    Traffic traffic(network);
    LinkWatch watch(network);
    LoopTrace trace(network);
    RateFollower follower(network);
    traffic.start();
    Simulator::Stop(Seconds(cell.warmup_s + cell.duration_s));
    Simulator::Run();
    nlohmann::json out = figures(network, traffic, watch);
    out["wall_s"] = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    out["cpu_s"] = static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
    out["events"] = Simulator::GetEventCount();
    if (const auto ring = DynamicCast<RingDisc>(network.disc)) {
        out["ticks"] = ring->ticks();
        if (!cell.rates.empty())
            out["settled_s"] = follower.settled_s();
        out["loop"] = trace.last();
    }
    return out;
}

void add_options(CLI::App &app, Cell &c) {
    app.add_option("--disc", c.disc,
                   "fifo, codel, pie, fq_codel, fq_cobalt, sluice, sluice-rate, sluice-pi2");
    app.add_option("--fast", c.fast_bps, "bit/s of the port that feeds");
    app.add_option("--slow", c.slow_bps, "bit/s of the port that is fed");
    app.add_option("--ring", c.ring, "descriptors of the TX ring");
    app.add_option("--rtt", c.rtt_ms, "ms, of the hosts in turn")->delimiter(',');
    app.add_option("--cc", c.cc, "cubic, reno, bbr, dctcp: of the hosts in turn")->delimiter(',');
    app.add_option("--hosts", c.hosts, "that TCP comes from");
    app.add_option("--flows", c.flows, "long TCP flows");
    app.add_flag("--ecn", c.ecn, "TCP and discipline use ECN");
    app.add_option("--warmup", c.warmup_s, "s that no figure counts");
    app.add_option("--duration", c.duration_s, "s measured");
    app.add_option("--probe", c.probe_interval_s, "s between sparse probes, 0 = none");
    app.add_option("--web", c.web_load, "load of short flows, share of the slow link");
    app.add_option("--incast", c.incast, "senders that answer together");
    app.add_option("--incast-bytes", c.incast_bytes, "of each answer");
    app.add_option("--incast-period", c.incast_period_s, "s from one round to the next");
    app.add_option("--flood", c.flood, "UDP, multiple of the slow link");
    app.add_option("--target", c.target_ms, "ms, 0 = default of the discipline");
    app.add_option("--interval", c.interval_ms, "ms, with --target");
    app.add_option("--tick", c.tick_us, "us between ticks of sluice's loop, 0 = its own choice");
    app.add_option("--stall", c.stalls, "from:to, s in which sluice's loop does not tick")->delimiter(',');
    app.add_option("--rates", c.rates, "s:bit/s, rate of the slow link from then on")->delimiter(',');
    app.add_option("--seed", c.seed, "run number of the random generator");
    app.add_option("--trace", c.trace, "CSV of the control loop's state, each ms");
}

} // namespace
} // namespace sluice::sim

int main(int argc, char **argv) {
    CLI::App app{"one simulated cell; docs/simulator.md"};
    sluice::sim::Cell cell;
    sluice::sim::add_options(app, cell);
    CLI11_PARSE(app, argc, argv);
    try {
        std::cout << sluice::sim::run(cell).dump(1) << '\n';
    } catch (const std::exception &e) {
        std::cerr << "sluice-sim: " << e.what() << '\n';
        return 1;
    }
}
