// The whole loop without a kernel: sources -> the admission law of admit.bpf.h -> a FIFO ring that a link
// drains -> capacity_step and phantom_step each tick -> published shares. Deterministic: one clock, no
// randomness, no sleeping.
#include "control/auto_aqm.hpp"
#include "control/capacity.hpp"
#include "control/phantom.hpp"
#include "host_admit/host_admit.h"
#include "limits.hpp"

#include <gtest/gtest.h>

#include <sluice/phantom.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <map>
#include <memory>
#include <optional>

namespace sluice {
namespace {

constexpr double kFrame = 1538;
constexpr uint64_t kMs = 1'000'000;

// A source of full frames: constant rate, or one that grows by a frame per RTT and halves on a signal (AIMD).
struct Source {
    double bytes_per_s = 0;
    uint64_t rtt_ns = 0; // 0: constant rate
    bool on = true;
    std::optional<uint32_t> hash; // else one that meets no other's
    // state
    double credit = 0;
    uint64_t deaf_until_ns = 0; // one reaction per RTT
    double delivered = 0;
    uint64_t offered = 0, refused = 0;

    void grow(uint64_t dt_ns) {
        if (rtt_ns)
            bytes_per_s += kFrame * 1e9 / static_cast<double>(rtt_ns) * static_cast<double>(dt_ns) /
                           static_cast<double>(rtt_ns);
        credit = std::min(credit + bytes_per_s * static_cast<double>(dt_ns) * 1e-9, 64 * kFrame);
    }
    void signal(uint64_t now_ns) {
        if (!rtt_ns || now_ns < deaf_until_ns)
            return;
        bytes_per_s = std::max(bytes_per_s * 0.7, 2 * kFrame * 1e9 / static_cast<double>(rtt_ns));
        deaf_until_ns = now_ns + rtt_ns;
    }
};

struct InRing {
    uint64_t entered_ns;
    size_t source;
};

class Sim {
  public:
    std::vector<Source> sources;
    uint32_t ring_size = 1000;
    bool ticking = true;
    double link_bytes_per_s;

    Sim(double link, std::optional<double> policy_rate) : link_bytes_per_s(link) {
        config_.policy_bytes_per_s = policy_rate;
        config_.mtu_bytes = kFrame;
        maps_->ports[0].overhead = 24;
        maps_->ports[0].guard = {20 * kMs, 100 * kMs};
        maps_->ports[0].guard_limit_ns = 100 * kMs;
        publish();
    }

    void run(double seconds) {
        for (const uint64_t until = now_ + static_cast<uint64_t>(seconds * 1e9); now_ < until;) {
            now_ += kStep_ns;
            offer();
            drain();
            if (ticking && now_ - last_tick_ >= kTick_ns)
                tick();
        }
    }
    void forget_figures() {
        longest_sojourn_ns_ = 0;
        most_waiting_ = 0;
        for (auto &s : sources)
            s.delivered = 0, s.offered = s.refused = 0;
    }
    double sojourn_s() const { return static_cast<double>(longest_sojourn_ns_) * 1e-9; }
    double waiting_s() const { return static_cast<double>(ring_.size()) * kFrame / link_bytes_per_s; }
    double most_waiting_s() const { return static_cast<double>(most_waiting_) * kFrame / link_bytes_per_s; }
    uint64_t ring_full() const { return ring_full_; }
    double capacity() const { return capacity_.capacity_bytes_per_s; }

  private:
    static constexpr uint64_t kStep_ns = 100'000, kTick_ns = 1 * kMs;

    void offer() {
        for (size_t i = 0; i < sources.size(); i++) {
            Source &s = sources[i];
            if (!s.on)
                continue;
            s.grow(kStep_ns);
            for (; s.credit >= kFrame; s.credit -= kFrame)
                send(i);
        }
    }
    void send(size_t i) {
        host_request q{};
        q.hash = sources[i].hash.value_or(static_cast<uint32_t>(i * 2 + 1) | static_cast<uint32_t>(i) << 12);
        q.wire = static_cast<uint32_t>(kFrame);
        host_answer a{};
        ASSERT_EQ(host_admit(maps_.get(), &q, now_, &a), 0);
        sources[i].offered++;
        if (a.outcome > SLUICE_MARK) {
            sources[i].refused++;
            return sources[i].signal(now_);
        }
        buckets_[a.bucket] = true;
        if (ring_.size() >= ring_size) {
            ring_full_++;
            return sources[i].signal(now_);
        }
        if (ring_.empty())
            seen_.empties++;
        ring_.push_back({now_, i});
        most_waiting_ = std::max(most_waiting_, ring_.size());
        hook();
    }
    // What egress.bpf.c tells the guard after a bulk.
    void hook() {
        const uint64_t per_byte = maps_->ports[0].ns_per_byte;
        const uint64_t sojourn = now_ - ring_.front().entered_ns;
        maps_->tx[0].empty_at_ns =
            now_ + (per_byte
                        ? static_cast<uint64_t>(double(ring_.size()) * kFrame * double(per_byte) / 1048576.0)
                        : sojourn);
    }
    void drain() {
        link_credit_ =
            ring_.empty() ? 0 : link_credit_ + link_bytes_per_s * static_cast<double>(kStep_ns) * 1e-9;
        for (; link_credit_ >= kFrame && !ring_.empty(); link_credit_ -= kFrame) {
            longest_sojourn_ns_ = std::max(longest_sojourn_ns_, now_ - ring_.front().entered_ns);
            sources[ring_.front().source].delivered += kFrame;
            drained_ += kFrame;
            ring_.pop_front();
        }
    }
    void tick() {
        double dt_s = static_cast<double>(now_ - last_tick_) * 1e-9;
        last_tick_ = now_;
        const bool late = dt_s > kLateTick_s; // as Loop::tick_port() does
        if (late)
            capacity_.last = {}, dt_s = 0;
        seen_.readable = true;
        seen_.size = ring_size;
        seen_.drained_bytes = static_cast<uint64_t>(drained_);
        seen_.occupancy = static_cast<uint32_t>(ring_.size());
        seen_.waiting_bytes = static_cast<uint64_t>(double(ring_.size()) * kFrame);
        const auto &count = maps_->class_counts[0];
        const uint64_t refused =
            count.outcome[SLUICE_MARK] + count.outcome[SLUICE_DROP_CODEL] + count.outcome[SLUICE_DROP_LIMIT];
        Demand demand;
        demand.backlog_bytes = classes_[0].backlog_bytes;
        demand.refused = refused != refused_;
        demand.held_up_bytes = demand.backlog_bytes;
        refused_ = refused;
        capacity_step(capacity_, config_, seen_, demand, dt_s);
        std::vector<uint64_t> finishes;
        for (const auto &[bucket, used] : buckets_)
            finishes.push_back(maps_->flows[bucket / SLUICE_FLOW_WAYS].way[bucket % SLUICE_FLOW_WAYS].finish);
        PhantomInput input;
        input.admitted_bytes = static_cast<double>(count.admitted_bytes - admitted_);
        input.flows = {finishes};
        admitted_ = count.admitted_bytes;
        if (late) {
            const sluice_class &c = maps_->classes[0];
            phantom_adopt(classes_[0], sluice_vt(&c.share[c.current & 1], now_), {finishes});
            input.admitted_bytes = 0;
        }
        PhantomService service;
        service.bytes_per_s = granted(capacity_);
        service.dt_s = dt_s;
        service.ring_bytes = static_cast<double>(seen_.waiting_bytes);
        service.caught_up = capacity_.caught_up;
        phantom_step(tree_, classes_, {&input, 1}, service);
        publish();
    }
    // As Loop::publish() does; the constants that matter come from resolve_aqm().
    void publish() {
        const double capacity = granted(capacity_), frame_s = kFrame / capacity;
        const AqmNow aqm = aqm_for(Aqm{}, frame_s, frame_s * ring_size, classes_[0].active_flows);
        const double rate =
            std::max(classes_[0].service_bytes_per_s / std::max(1u, classes_[0].active_flows), 125.0);
        sluice_class &c = maps_->classes[0];
        sluice_share &s = c.share[1 - (c.current & 1)];
        auto bytes = [&](double seconds) { return static_cast<uint64_t>(std::max(seconds * rate, kFrame)); };
        s.vt0 = classes_[0].vt;
        s.t0_ns = now_;
        s.bytes_per_ns = static_cast<uint64_t>(rate * 1e-9 * 4294967296.0);
        s.ns_per_byte = static_cast<uint64_t>(1e9 / rate * 1048576.0);
        s.target_bytes = bytes(aqm.target_s);
        s.step_bytes = bytes(aqm.step_s);
        publish_limits(s, aqm, bytes);
        c.codel = {static_cast<uint64_t>(aqm.target_s * 1e9), static_cast<uint64_t>(aqm.interval_s * 1e9)};
        c.current = 1 - (c.current & 1);
        if (capacity_.capacity_bytes_per_s > 0) {
            maps_->ports[0].ns_per_byte =
                static_cast<uint64_t>(1e9 / capacity_.capacity_bytes_per_s * 1048576.0);
            maps_->ports[0].guard_limit_ns = static_cast<uint64_t>(1.5e9 * longest_limit_s(aqm));
        }
    }

    std::unique_ptr<host_maps> maps_ = std::make_unique<host_maps>();
    ShareTree tree_{{ShareTree::Node{}, ShareTree::Node{}}};
    std::array<PhantomClass, 1> classes_{PhantomClass{.node = 1}};
    CapacityConfig config_;
    CapacityState capacity_;
    RingObservation seen_;
    std::map<uint32_t, bool> buckets_;
    std::deque<InRing> ring_;
    uint64_t now_ = 1'000'000'000, last_tick_ = 1'000'000'000, admitted_ = 0, refused_ = 0, ring_full_ = 0;
    uint64_t longest_sojourn_ns_ = 0;
    size_t most_waiting_ = 0;
    double drained_ = 0, link_credit_ = 0;
};

constexpr double kLink = 6.25e6; // 50 Mbit/s; a ring of 1000 frames holds 246 ms

Source constant(double bytes_per_s) {
    Source s;
    s.bytes_per_s = bytes_per_s;
    return s;
}

Source aimd(uint64_t rtt_ns) {
    Source s;
    s.bytes_per_s = 10 * kFrame * 1e9 / static_cast<double>(rtt_ns);
    s.rtt_ns = rtt_ns;
    return s;
}

class LoopSim : public testing::TestWithParam<bool> { // with a rate in the policy, or without
  protected:
    Sim sim{kLink, GetParam() ? std::optional(kLink) : std::nullopt};
};

TEST_P(LoopSim, AFloodGetsItsShareAndNoMore) {
    sim.sources.push_back(constant(3 * kLink));
    for (int i = 0; i < 4; i++)
        sim.sources.push_back(constant(kLink * 0.3));
    sim.run(3);
    sim.forget_figures();
    sim.run(5);
    for (const Source &s : sim.sources)
        EXPECT_NEAR(s.delivered / 5, kLink / 5, 0.05 * kLink / 5);
    EXPECT_LT(sim.sojourn_s(), 0.020) << "plain FIFO: 0.246";
    EXPECT_EQ(sim.ring_full(), 0u);
}

TEST_P(LoopSim, ModestFlowsAreNotRefused) {
    sim.sources.push_back(constant(3 * kLink));
    for (int i = 0; i < 4; i++)
        sim.sources.push_back(constant(kLink * 0.1));
    sim.run(3);
    sim.forget_figures();
    sim.run(5);
    for (size_t i = 1; i < 5; i++) {
        EXPECT_EQ(sim.sources[i].refused, 0u);
        EXPECT_NEAR(sim.sources[i].delivered / 5, kLink * 0.1, 0.01 * kLink);
    }
    EXPECT_GT(sim.sources[0].delivered / 5, 0.55 * kLink) << "the rest is the flood's";
}

// An attacker who knows the seed fills all ways of one set, many times over. Who is in that set shares a
// bucket with a flood and suffers; nobody else does, and the attack gets no more than the buckets that it
// holds.
TEST_P(LoopSim, CollisionsOnPurposeStayInTheirSet) {
    constexpr uint32_t kSet = 77, kWays = SLUICE_FLOW_WAYS, kColliding = 40;
    const auto in_set = [](uint32_t n) { return kSet << 1 | 1 | n * 2'654'435'761u << 20; };
    for (uint32_t n = 0; n < kColliding; n++) {
        sim.sources.push_back(constant(3 * kLink / kColliding));
        sim.sources.back().hash = in_set(n);
    }
    for (int i = 0; i < 4; i++)
        sim.sources.push_back(constant(kLink * 0.5));
    sim.run(3);
    sim.forget_figures();
    sim.run(5);
    const double fair = kLink / (kWays + 4);
    double attack = 0;
    for (uint32_t n = 0; n < kColliding; n++)
        attack += sim.sources[n].delivered / 5;
    EXPECT_NEAR(attack, kWays * fair, 0.05 * kWays * fair);
    for (size_t i = kColliding; i < sim.sources.size(); i++)
        EXPECT_GT(sim.sources[i].delivered / 5, 0.95 * fair);
    EXPECT_LT(sim.sojourn_s(), 0.020);
}

TEST_P(LoopSim, ReactiveFlowsShareAndFillTheLink) {
    for (int i = 0; i < 8; i++)
        sim.sources.push_back(aimd(20 * kMs));
    sim.run(5);
    sim.forget_figures();
    sim.run(10);
    double sum = 0, squares = 0;
    for (const Source &s : sim.sources)
        sum += s.delivered, squares += s.delivered * s.delivered;
    EXPECT_GT(sum / 10, 0.93 * kLink);
    EXPECT_GT(sum * sum / (8 * squares), 0.99) << "Jain";
    EXPECT_LT(sim.sojourn_s(), 0.020);
}

TEST_P(LoopSim, ThePortReopensWithinOneRingTime) {
    sim.sources = {constant(3 * kLink), constant(0.1 * kLink)};
    sim.sources[1].on = false;
    sim.run(3);
    sim.sources[0].on = false;
    sim.run(sim.waiting_s() + 0.002);
    EXPECT_EQ(sim.waiting_s(), 0);
    sim.forget_figures();
    sim.sources[1].on = true;
    sim.run(1);
    EXPECT_EQ(sim.sources[1].refused, 0u);
    EXPECT_LT(sim.sojourn_s(), 0.003);
}

TEST_P(LoopSim, MissingTicksAdmitABoundedExcess) {
    for (const double gap_s : {0.1, 1.0}) {
        Sim s{kLink, GetParam() ? std::optional(kLink) : std::nullopt};
        s.sources = {constant(3 * kLink), constant(kLink), constant(kLink)};
        s.run(3);
        s.forget_figures();
        s.ticking = false;
        s.run(gap_s);
        EXPECT_LT(s.most_waiting_s(), 0.12) << gap_s << " s without ticks";
        s.ticking = true;
        s.run(0.5);
        s.forget_figures();
        s.run(1);
        EXPECT_LT(s.sojourn_s(), 0.020) << "recovered";
        for (const Source &source : s.sources)
            EXPECT_NEAR(source.delivered, kLink / 3, 0.07 * kLink / 3);
    }
}

TEST_P(LoopSim, ALinkThatHalvesIsFollowed) {
    if (GetParam())
        GTEST_SKIP() << "the policy's rate would be wrong";
    sim.sources = {constant(3 * kLink), constant(kLink), constant(kLink)};
    sim.run(3);
    sim.link_bytes_per_s = kLink / 2;
    sim.run(1);
    EXPECT_NEAR(sim.capacity(), kLink / 2, 0.05 * kLink);
    sim.forget_figures();
    sim.run(2);
    EXPECT_LT(sim.sojourn_s(), 0.025);
}

INSTANTIATE_TEST_SUITE_P(Rate, LoopSim, testing::Bool(),
                         [](const auto &given) { return given.param ? "given" : "measured"; });

} // namespace
} // namespace sluice
