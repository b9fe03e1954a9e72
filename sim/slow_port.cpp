#include "slow_port.hpp"

#include <sluice/codel.h>

#include <algorithm>
#include <stdexcept>

#include "dataplane/fill.hpp"
#include "policy/load.hpp"

namespace sluice::sim {
namespace {

constexpr uint32_t kFlows = SLUICE_LEAST_FLOWS;

CompiledPolicy compiled(const std::string &text) {
    LoadResult loaded = load_policy_text(text, "simulator.yaml");
    if (!loaded.policy)
        throw std::runtime_error("policy of the simulator: " +
                                 (loaded.diagnostics.empty() ? "" : loaded.diagnostics.front().message));
    return compile(*loaded.policy);
}

template <class T> sim_array array_of(MappedArray<T> &a) {
    return {a.begin(), sizeof(T), a.size()};
}

} // namespace

// The dataplane's side of the contract, with memory in place of the kernel.
class SlowPort::Memory final : public Dataplane {
  public:
    Memory(const SlowPort &owner, const CompiledPolicy &policy) : owner_(owner) {
        maps_.control = MappedArray<sluice_control>::in_memory(1);
        maps_.ports = MappedArray<sluice_port>::in_memory(SLUICE_MAX_PORTS);
        maps_.transitions = MappedArray<sluice_transition>::in_memory(2 * SLUICE_MAX_TRANSITIONS);
        maps_.classes = MappedArray<sluice_class>::in_memory(2 * policy.class_count);
        maps_.flows = MappedArray<sluice_flow_set>::in_memory(kFlows / SLUICE_FLOW_WAYS);
        maps_.flow_info = MappedArray<sluice_flow_info>::in_memory(kFlows);
        maps_.touched = MappedArray<uint64_t>::in_memory(kFlows / 64);
        maps_.class_counts = MappedArray<sluice_class_count>::in_memory(2 * 2 * policy.class_count);
        maps_.delays = MappedArray<sluice_delays>::in_memory(2 * 2 * policy.class_count);
        maps_.port_counts = MappedArray<sluice_port_count>::in_memory(2 * SLUICE_MAX_PORTS);
        maps_.tx = MappedArray<sluice_tx>::in_memory(2 * SLUICE_MAX_PORTS);
        maps_.rings = MappedArray<sluice_ring>::in_memory(SLUICE_MAX_PORTS);
        clocks_ = MappedArray<sluice_clock>::in_memory(1);
        maps_.control[0].flow_mask = kFlows / SLUICE_FLOW_WAYS - 1;
        fill(policy);
    }

    sim_maps bind() {
        return {array_of(maps_.control),      array_of(maps_.ports),   array_of(maps_.classes),
                array_of(maps_.flows),        array_of(maps_.touched), array_of(clocks_),
                array_of(maps_.class_counts), array_of(maps_.tx)};
    }

    Result<> attach() override { return {}; }
    Result<> apply(const CompiledPolicy &) override { return fail("a simulated policy does not change"); }
    Result<> sample(uint32_t port) override {
        if (port == slow)
            maps_.rings[port].tick = owner_.reading(now_ns);
        return {};
    }
    Maps &maps() override { return maps_; }
    const std::vector<PortFacts> &ports() const override { return facts_; }
    int events_fd() const override { return -1; }
    uint32_t generation() const override { return 0; }
    Hook hook() const override { return Hook::tracepoint; }

    sluice_tx &tx() { return maps_.tx[slow]; }
    sluice_port &port() { return maps_.ports[slow]; }
    sluice_clock &clock() { return clocks_[0]; }

    uint64_t now_ns = 0;
    uint32_t slow = 0, default_class = 0;

  private:
    void fill(const CompiledPolicy &policy) {
        const CompiledTransition &t = policy.transitions.at(0);
        slow = t.to;
        default_class = t.first_class + t.class_count() - 1;
        facts_.resize(policy.source.ports.size());
        PortFacts &facts = facts_[slow];
        facts.reader = SLUICE_READER_TUN;
        facts.trust = SLUICE_TRUST_EXACT;
        // Loop takes mtu + Ethernet header + overhead for a full frame; ns-3's link frames differently.
        facts.dev.mtu = owner_.config_.frame_bytes - 14 - policy.port(slow).overhead.bytes;
        fill_ports(maps_, policy, facts_);
        for (uint32_t id = 0; id < t.class_count(); id++) { // as fill_generation() does
            sluice_class &c = maps_.classes[t.first_class + id];
            c.mark = t.classes[id].mark;
            c.law = t.classes[id].aqm.law == Law::pi2 ? SLUICE_LAW_PI2 : SLUICE_LAW_CODEL;
            for (auto &share : c.share) // admits all until the loop publishes
                share.target_bytes = share.step_bytes = share.short_limit_bytes = share.limit_bytes =
                    ~0ull >> 2;
        }
    }

    const SlowPort &owner_;
    Maps maps_;
    MappedArray<sluice_clock> clocks_;
    std::vector<PortFacts> facts_;
};

SlowPort::SlowPort(const PortConfig &config) : config_(config) {
    CompiledPolicy policy = compiled(config.policy);
    memory_ = std::make_unique<Memory>(*this, policy);
    maps_ = memory_->bind();
    loop_ = std::make_unique<Loop>(*memory_, std::move(policy), wake_);
}

SlowPort::~SlowPort() = default;

sim_verdict SlowPort::judge(sim_frame frame, uint64_t now_ns) {
    sim_verdict verdict{};
    frame.port = memory_->slow;
    frame.class_id = memory_->default_class;
    if (sim_admit(&maps_, &frame, now_ns, &verdict) != 0)
        throw std::runtime_error("sluice_admit() found a map or a row missing: bind it in SlowPort::Memory");
    return verdict;
}

sluice_reading SlowPort::reading(uint64_t now_ns) const {
    sluice_reading r{};
    r.time_ns = now_ns;
    r.sojourn_ns = ring_.empty() ? 0 : now_ns - ring_.front().entered_ns;
    r.waiting_bytes = waiting_bytes_;
    r.drained_bytes = drained_bytes_;
    r.occupancy = static_cast<uint32_t>(ring_.size());
    r.size = config_.ring;
    r.empties = empties_;
    r.valid = 1;
    return r;
}

// What egress.bpf.c does after a bulk, here of one frame: clock, prediction for the guard, guard.
void SlowPort::entered(uint32_t wire, uint64_t now_ns) {
    if (ring_.empty())
        empties_++;
    ring_.push_back({now_ns, wire});
    waiting_bytes_ += wire;
    sluice_clock &clock = memory_->clock();
    clock.now_ns = now_ns;
    clock.left = 0;
    sluice_tx &tx = memory_->tx();
    const sluice_port &port = memory_->port();
    const uint64_t sojourn = now_ns - ring_.front().entered_ns;
    const uint64_t bytes = std::min<uint64_t>(waiting_bytes_, 1ull << 32);
    tx.empty_at_ns =
        now_ns + (port.ns_per_byte ? (bytes * port.ns_per_byte) >> SLUICE_INVERSE_SHIFT : sojourn);
    if (sluice_codel_signal(&tx.guard, &port.guard, sojourn, now_ns))
        tx.signals++;
    if (!tx.guard.first_above_ns)
        tx.signals = 0;
    tx.sent_packets++;
    tx.sent_bytes += wire;
}

void SlowPort::left() {
    drained_bytes_ += ring_.front().wire;
    waiting_bytes_ -= ring_.front().wire;
    ring_.pop_front();
}

void SlowPort::tick(uint64_t now_ns) {
    memory_->now_ns = now_ns;
    loop_->tick(now_ns);
}

double SlowPort::capacity_bps() const {
    for (const auto &port : loop_->snapshot().ports)
        if (!port.classes.empty())
            return static_cast<double>(port.capacity_bytes_per_s) * 8;
    return 0;
}

uint64_t SlowPort::period_ns() const {
    return config_.tick_us > 0 ? static_cast<uint64_t>(config_.tick_us * 1000) : loop_->period_ns();
}

} // namespace sluice::sim
