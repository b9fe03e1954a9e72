// The disciplines under test. ns-3's own run with their defaults (those of Linux where ns-3 differs), and
// with room for 10240 frames as fq_codel has in Linux.
#include "ns3/boolean.h"
#include "ns3/nstime.h"
#include "ns3/object-factory.h"
#include "ns3/queue-size.h"
#include "ns3/string.h"

#include <stdexcept>

#include "network.hpp"
#include "ring_disc.hpp"

namespace sluice::sim {
namespace {

using namespace ns3;

constexpr const char *kRealQueue = "10240p";

std::string ms(double value) {
    return std::to_string(value) + "ms";
}

Ptr<QueueDisc> make(const std::string &type, const Cell &cell) {
    ObjectFactory f("ns3::" + type);
    f.Set("MaxSize", StringValue(kRealQueue));
    f.Set("UseEcn", BooleanValue(cell.ecn));
    const bool strings =
        type == "FqCoDelQueueDisc" || type == "FqCobaltQueueDisc" || type == "CoDelQueueDisc";
    if (strings && cell.target_ms > 0) {
        f.Set("Target", StringValue(ms(cell.target_ms)));
        f.Set("Interval", StringValue(ms(cell.interval_ms)));
    }
    if (type == "PieQueueDisc") { // Linux: 15 ms and 15 ms, RFC 8033
        const double target = cell.target_ms > 0 ? cell.target_ms : 15;
        f.Set("QueueDelayReference", StringValue(ms(target)));
        f.Set("Tupdate", StringValue(ms(target)));
    }
    return f.Create<QueueDisc>();
}

std::string policy_text(const Cell &cell) {
    std::string slow = "{device: sim1, overhead: none";
    if (cell.disc == "sluice-rate")
        slow += ", rate: " + std::to_string(static_cast<uint64_t>(cell.slow_bps)) + "bit";
    std::string aqm = cell.disc == "sluice-pi2" ? "law: pi2, " : "";
    if (cell.target_ms > 0)
        aqm += "target: " + std::to_string(static_cast<uint64_t>(cell.target_ms * 1000)) +
               "us, interval: " + std::to_string(static_cast<uint64_t>(cell.interval_ms * 1000)) + "us, ";
    return "version: 1\nports:\n  fast: {device: sim0}\n  slow: " + slow +
           "}\ntransitions:\n  - from: fast\n    to: slow\n    aqm: {" + aqm +
           "ecn: " + (cell.ecn ? "true" : "false") + "}\n";
}

Ptr<QueueDisc> make_sluice(const Cell &cell) {
    const auto disc = CreateObject<RingDisc>();
    PortConfig config{policy_text(cell), cell.ring, kMtu + kLinkHeader, cell.tick_us, {}};
    for (const auto &text : cell.stalls)
        config.stalls.push_back(two_numbers(text));
    disc->configure(config);
    return disc;
}

Ptr<QueueDisc> make_fifo(const Cell &cell) {
    ObjectFactory f("ns3::FifoQueueDisc");
    f.Set("MaxSize", StringValue(std::to_string(cell.ring) + "p"));
    return f.Create<QueueDisc>();
}

} // namespace

Ptr<QueueDisc> make_disc(const Cell &cell) {
    if (cell.disc == "fifo")
        return make_fifo(cell);
    if (cell.disc == "codel")
        return make("CoDelQueueDisc", cell);
    if (cell.disc == "pie")
        return make("PieQueueDisc", cell);
    if (cell.disc == "fq_codel")
        return make("FqCoDelQueueDisc", cell);
    if (cell.disc == "fq_cobalt")
        return make("FqCobaltQueueDisc", cell);
    if (cell.disc == "sluice" || cell.disc == "sluice-rate" || cell.disc == "sluice-pi2")
        return make_sluice(cell);
    throw std::runtime_error("unknown discipline `" + cell.disc +
                             "`: fifo, codel, pie, fq_codel, fq_cobalt, sluice, sluice-rate or sluice-pi2");
}

} // namespace sluice::sim
