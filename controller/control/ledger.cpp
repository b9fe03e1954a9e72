#include "control/ledger.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <numeric>

#include "control/names.hpp"
#include "dataplane/maps.hpp"

namespace sluice {
namespace {

// Other CPUs write the counters: each look is a new one, in program order.
template <class T> T look(const T &counter) {
    return __atomic_load_n(&counter, __ATOMIC_SEQ_CST);
}

uint64_t received_by(const Maps &maps, uint32_t port) {
    uint64_t frames = 0;
    for (uint32_t row = 0; row < maps.count_rows(); row++)
        frames += look(maps.port_count(port, row).received_packets);
    return frames;
}

using Outcomes = std::array<uint64_t, SLUICE_OUTCOMES>;

Outcomes outcomes_of(const Maps &maps, uint32_t port) {
    Outcomes frames{};
    for (uint32_t row = 0; row < maps.count_rows(); row++)
        for (size_t i = 0; i < frames.size(); i++)
            frames[i] += look(maps.port_count(port, row).outcome[i]);
    return frames;
}

uint64_t sum(const Outcomes &outcomes) {
    return std::accumulate(outcomes.begin(), outcomes.end(), uint64_t{0});
}

uint64_t admitted_to(const Maps &maps, uint32_t port) {
    uint64_t frames = 0;
    for (uint32_t row = 0; row < maps.count_rows(); row++)
        frames += look(maps.tx_of(port, row).admitted_packets);
    return frames;
}

// What the egress hooks know of them.
struct Departed {
    uint64_t sent = 0, pending = 0;
    std::array<uint64_t, SLUICE_KDROPS> drops{};

    uint64_t total() const { return std::accumulate(drops.begin(), drops.end(), sent + pending); }
};

Departed departed_by(const Maps &maps, uint32_t port) {
    Departed d;
    for (uint32_t row = 0; row < maps.count_rows(); row++) {
        const sluice_tx &tx = maps.tx_of(port, row);
        d.sent += look(tx.sent_packets);
        for (size_t i = 0; i < d.drops.size(); i++)
            d.drops[i] += look(tx.drops[i]);
        const uint32_t tail = look(tx.tail);
        d.pending += static_cast<uint32_t>(std::max(static_cast<int32_t>(look(tx.head) - tail), 0));
    }
    return d;
}

uint64_t redirected_by(const Maps &maps, uint32_t ports) {
    uint64_t frames = 0;
    for (uint32_t port = 0; port < ports; port++)
        for (uint32_t row = 0; row < maps.count_rows(); row++)
            for (unsigned outcome : {SLUICE_FORWARD, SLUICE_MARK, SLUICE_REROUTE, SLUICE_TRIM})
                frames += look(maps.port_count(port, row).outcome[outcome]);
    return frames;
}

// Seen on one sandboxed kernel only (docs/measurements.md): no tracepoint of the kernel's runs for a NAPI
// poll that interrupts one certain task of the sandbox, and nobody counts it; the device has sent these
// frames. More than a poll and more than one frame in kMostUnseen are a loss.
uint64_t unseen_of(const Comparison &out) {
    constexpr uint64_t kPoll = 64, kMostUnseen = 512;
    return std::min(static_cast<uint64_t>(std::max<int64_t>(out.unexplained(), 0)),
                    std::max(kPoll, out.up / kMostUnseen));
}

uint64_t departed_total(const Maps &maps, uint32_t port) {
    return departed_by(maps, port).total();
}

} // namespace

Comparison settled(uint64_t before, uint64_t up, const std::function<uint64_t()> &look_further_down) {
    constexpr auto kPatience = std::chrono::microseconds(100);
    Comparison c{before, up, look_further_down()};
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (c.after < up && std::chrono::steady_clock::now() < end)
        c.after = look_further_down();
    return c;
}

Ledger read_ledger(const Maps &maps, uint32_t port) {
    Ledger ledger;
    const Departed gone = departed_by(maps, port);
    ledger.admitted = admitted_to(maps, port);
    const Comparison out = settled(gone.total(), ledger.admitted, [&] { return departed_total(maps, port); });
    const Outcomes outcomes = outcomes_of(maps, port);
    ledger.received = received_by(maps, port);
    const Comparison in =
        settled(sum(outcomes), ledger.received, [&] { return sum(outcomes_of(maps, port)); });
    for (unsigned i = 0; i < SLUICE_OUTCOMES; i++)
        ledger.outcomes.push_back({std::string(outcome_name(i)), outcomes[i]});
    ledger.sent = gone.sent;
    ledger.pending = gone.pending;
    for (unsigned i = 0; i < SLUICE_KDROPS; i++)
        ledger.kernel_drops.push_back({std::string(kernel_drop_name(i)), gone.drops[i]});
    ledger.unexplained_received = in.unexplained();
    ledger.unseen = unseen_of(out);
    ledger.unexplained_admitted = out.unexplained() - static_cast<int64_t>(ledger.unseen);
    ledger.in_flight = in.in_flight() + out.in_flight();
    return ledger;
}

// A program counts a frame as redirected after the port has admitted it.
int64_t unexplained_redirects(const Maps &maps, uint32_t ports) {
    uint64_t admitted = 0;
    const uint64_t before = redirected_by(maps, ports);
    for (uint32_t port = 0; port < ports; port++)
        admitted += admitted_to(maps, port);
    return -settled(before, admitted, [&] { return redirected_by(maps, ports); }).unexplained();
}

} // namespace sluice
