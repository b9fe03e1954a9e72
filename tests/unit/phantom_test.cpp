// The phantom scheduler's steps: who is given what, where the water level lies, and what a tick does to both.
// Checks invariants (conservation, max-min, GPS), not tuning.
#include "control/phantom.hpp"

#include <sluice/phantom.h>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace sluice {
namespace {

double wish(const ShareRequest &r) {
    return r.ceiling > 0 ? std::min(r.demand, r.ceiling) : r.demand;
}

double sum(const std::vector<double> &v) {
    return std::accumulate(v.begin(), v.end(), 0.0);
}

std::vector<double> share(double credit, const std::vector<ShareRequest> &requests) {
    std::vector<double> given(requests.size(), -1);
    share_out(credit, requests, given);
    return given;
}

rc::Gen<ShareRequest> any_request() {
    return rc::gen::map(rc::gen::tuple(rc::gen::inRange(0, 100'000), rc::gen::inRange(0, 40'000),
                                       rc::gen::inRange(0, 3), rc::gen::inRange(1, 1000),
                                       rc::gen::inRange(0, 4)),
                        [](const std::tuple<int, int, int, int, int> &t) {
                            const auto [demand, guaranteed, ceiling, weight, priority] = t;
                            return ShareRequest{double(demand), double(guaranteed / 3), ceiling * 20'000.0,
                                                double(weight), static_cast<uint8_t>(priority)};
                        });
}

TEST(ShareOut, Nobody) {
    EXPECT_TRUE(share(100, {}).empty());
}

TEST(ShareOut, NothingToGive) {
    EXPECT_EQ(share(0, {{10, 5}, {10}}), (std::vector<double>{0, 0}));
}

TEST(ShareOut, ByWeight) {
    const auto g = share(100, {{1000, 0, 0, 1}, {1000, 0, 0, 3}});
    EXPECT_NEAR(g[0], 25, 1e-9);
    EXPECT_NEAR(g[1], 75, 1e-9);
}

TEST(ShareOut, WhatOneLeavesTheOthersGet) {
    const auto g = share(100, {{10, 0, 0, 5}, {1000, 0, 0, 1}, {1000, 0, 0, 2}});
    EXPECT_NEAR(g[0], 10, 1e-9);
    EXPECT_NEAR(g[1], 30, 1e-9);
    EXPECT_NEAR(g[2], 60, 1e-9);
}

TEST(ShareOut, StrictPriority) {
    const auto g = share(100, {{80, 0, 0, 1, 0}, {80, 0, 0, 9, 1}});
    EXPECT_NEAR(g[0], 80, 1e-9);
    EXPECT_NEAR(g[1], 20, 1e-9);
}

TEST(ShareOut, GuaranteeBeforePriority) {
    const auto g = share(100, {{200, 0, 0, 1, 0}, {200, 30, 0, 1, 1}});
    EXPECT_NEAR(g[0], 70, 1e-9);
    EXPECT_NEAR(g[1], 30, 1e-9);
}

TEST(ShareOut, CeilingEvenIfAlone) {
    EXPECT_NEAR(share(100, {{1000, 0, 25}})[0], 25, 1e-9);
}

RC_GTEST_PROP(ShareOutProperty, WorkConservingAndNobodyGetsMoreThanItMay, ()) {
    const auto requests = *rc::gen::container<std::vector<ShareRequest>>(any_request());
    const double credit = *rc::gen::inRange(0, 400'000);
    const auto given = share(credit, requests);
    double wishes = 0;
    for (size_t i = 0; i < requests.size(); i++) {
        wishes += wish(requests[i]);
        RC_ASSERT(given[i] >= 0);
        RC_ASSERT(given[i] <= wish(requests[i]) + 1e-6);
    }
    RC_ASSERT(std::abs(sum(given) - std::min(credit, wishes)) <= 1e-6 * (1 + credit));
}

RC_GTEST_PROP(ShareOutProperty, GuaranteesAreMetWhenTheyFit, ()) {
    const auto requests = *rc::gen::container<std::vector<ShareRequest>>(any_request());
    double promised = 0;
    for (const auto &r : requests)
        promised += std::min(r.guaranteed, wish(r));
    const auto given = share(promised + *rc::gen::inRange(0, 100'000), requests);
    for (size_t i = 0; i < requests.size(); i++)
        RC_ASSERT(given[i] >= std::min(requests[i].guaranteed, wish(requests[i])) - 1e-6);
}

// Within one priority, without guarantees: whoever is not satisfied has at least as much per weight as
// everybody else.
RC_GTEST_PROP(ShareOutProperty, WeightedMaxMin, ()) {
    auto requests = *rc::gen::container<std::vector<ShareRequest>>(any_request());
    for (auto &r : requests) {
        r.guaranteed = 0;
        r.priority %= 2;
    }
    const auto given = share(*rc::gen::inRange(1, 400'000), requests);
    for (size_t i = 0; i < requests.size(); i++) {
        if (given[i] >= wish(requests[i]) - 1e-6)
            continue;
        for (size_t j = 0; j < requests.size(); j++) {
            if (requests[j].priority == requests[i].priority) {
                const double mine = given[i] / requests[i].weight, theirs = given[j] / requests[j].weight;
                RC_ASSERT(theirs <= mine + 1e-9 * (1 + mine));
            } else if (requests[j].priority > requests[i].priority) {
                RC_ASSERT(given[j] <= 1e-6);
            }
        }
    }
}

double above(const std::vector<uint64_t> &finishes, uint64_t vt) {
    double bytes = 0;
    for (uint64_t f : finishes)
        bytes += static_cast<double>(sluice_lag(f, vt));
    return bytes;
}

TEST(WaterLevel, NoFlows) {
    const WaterLevel level = water_level({}, 1000, 42);
    EXPECT_EQ(level.vt, 42u);
    EXPECT_EQ(level.active, 0u);
}

TEST(WaterLevel, NobodyAheadStays) {
    const std::vector<uint64_t> f{10, 20};
    EXPECT_EQ(water_level({f}, 0, 100).vt, 100u);
    EXPECT_EQ(water_level({f}, 0, 100).active, 0u);
}

TEST(WaterLevel, TwoFlowsByHand) {
    const std::vector<uint64_t> f{1000, 3000};
    const WaterLevel both = water_level({f}, 3000, 0); // 500 + 2500
    EXPECT_EQ(both.vt, 500u);
    EXPECT_EQ(both.active, 2u);
    const WaterLevel one = water_level({f}, 1000, 0);
    EXPECT_EQ(one.vt, 2000u);
    EXPECT_EQ(one.active, 1u);
}

TEST(WaterLevel, ManyFlowsOfVeryDifferentLag) {
    std::vector<uint64_t> f;
    for (int i = 0; i < 40; i++)
        f.push_back(1ull << i);
    for (double backlog : {1.0, 1e3, 1e6, 1e9, 1e12}) {
        const WaterLevel level = water_level({f}, backlog, 0);
        EXPECT_NEAR(above(f, level.vt), backlog, 0.5 + 0.5 * level.active) << backlog;
    }
}

// A host with two busy flows: each byte of theirs counts twice, so the level rises by host, not by flow.
TEST(WaterLevel, ScaledFlowsCountAsOneHost) {
    const std::vector<uint64_t> f{4000, 4000, 4000};
    const std::vector<uint16_t> scales{2, 2, 1};
    const WaterLevel level = water_level({f, scales}, 4000, 0); // 1000 + 1000 + 2000
    EXPECT_EQ(level.vt, 2000u);
    EXPECT_EQ(level.active, 3u);
    EXPECT_NEAR(level.shares, 2, 1e-9);
}

// Any start, any order, across the wrap. The level is a whole byte, so each active flow may add half a byte.
RC_GTEST_PROP(WaterLevelProperty, LagsAboveTheLevelSumToTheBacklog, ()) {
    const uint64_t origin = *rc::gen::arbitrary<uint64_t>();
    const auto offsets = *rc::gen::nonEmpty(
        rc::gen::container<std::vector<int64_t>>(rc::gen::inRange<int64_t>(-20'000'000, 20'000'000)));
    const double backlog = *rc::gen::inRange(0, 50'000'000);
    std::vector<uint64_t> finishes;
    for (int64_t o : offsets)
        finishes.push_back(origin + static_cast<uint64_t>(o));
    const WaterLevel level = water_level({finishes}, backlog, origin);
    const double n = level.active;
    const bool nothing_to_place = backlog == 0 && level.vt == origin;
    if (nothing_to_place)
        RC_ASSERT(above(finishes, origin) <= 0.5);
    else
        RC_ASSERT(std::abs(above(finishes, level.vt) - backlog) <= 1 + 0.5 * n);
    const auto ahead = std::count_if(finishes.begin(), finishes.end(),
                                     [&](uint64_t f) { return static_cast<int64_t>(f - level.vt) > 1; });
    RC_ASSERT(static_cast<int64_t>(level.active) >= ahead);
}

// One class with flows that a test offers packets to; admits all of them.
struct Port {
    std::vector<PhantomClass> classes;
    std::vector<std::vector<uint64_t>> finishes;
    std::vector<double> admitted;
    ShareTree tree{{ShareTree::Node{}}};

    // One class per weight.
    Port(const std::vector<double> &weights, const std::vector<size_t> &flows) {
        std::vector<ShareTree::Node> nodes(1);
        for (double weight : weights) {
            classes.emplace_back();
            classes.back().node = static_cast<uint32_t>(nodes.size());
            nodes.push_back({.weight = weight});
        }
        tree = ShareTree(nodes);
        for (size_t n : flows)
            finishes.emplace_back(n, 0);
        admitted.resize(classes.size());
    }
    uint64_t lag(size_t c, size_t flow) const { return sluice_lag(finishes[c][flow], classes[c].vt); }
    void send(size_t c, size_t flow, uint32_t bytes) {
        finishes[c][flow] = sluice_charge(finishes[c][flow], classes[c].vt, bytes);
        admitted[c] += bytes;
    }
    void tick(double bytes_per_s, double dt_s, double ring_bytes = 0, bool caught_up = false) {
        std::vector<PhantomInput> in;
        for (uint32_t c = 0; c < classes.size(); c++)
            in.push_back({c, admitted[c], {finishes[c]}});
        PhantomService service;
        service.bytes_per_s = bytes_per_s;
        service.dt_s = dt_s;
        service.ring_bytes = ring_bytes;
        service.caught_up = caught_up;
        phantom_step(tree, classes, in, service);
        std::fill(admitted.begin(), admitted.end(), 0.0);
    }
};

constexpr double kRate = 6.25e6, kTick_s = 0.001; // 50 Mbit/s: 6250 bytes per tick

RC_GTEST_PROP(PhantomStepProperty, ConservesBytes, ()) {
    Port port({1, 1}, {3, 3});
    for (int tick = 0; tick < 60; tick++) {
        const double before = port.classes[0].backlog_bytes + port.classes[1].backlog_bytes;
        const int packets = *rc::gen::inRange(0, 12);
        double sent = 0;
        for (int p = 0; p < packets; p++) {
            const auto bytes = static_cast<uint32_t>(*rc::gen::inRange(84, 1539));
            port.send(static_cast<size_t>(p % 2), static_cast<size_t>(p / 2 % 3), bytes);
            sent += bytes;
        }
        port.tick(kRate, kTick_s);
        const double after = port.classes[0].backlog_bytes + port.classes[1].backlog_bytes;
        RC_ASSERT(std::abs(after - std::max(0.0, before + sent - kRate * kTick_s)) < 1e-3);
        for (size_t c = 0; c < 2; c++)
            RC_ASSERT(std::abs(above(port.finishes[c], port.classes[c].vt) - port.classes[c].backlog_bytes) <=
                      4);
    }
}

TEST(PhantomStep, TwoBackloggedFlowsAreServedAlike) {
    Port port({1}, {2});
    double sent[2] = {};
    for (int tick = 0; tick < 500; tick++) {
        for (size_t f = 0; f < 2; f++)
            for (size_t n = 0; n < (f ? 9 : 3); n++, sent[f] += 1500)
                port.send(0, f, 1500);
        port.tick(kRate, kTick_s);
    }
    const double served[2] = {sent[0] - double(port.lag(0, 0)), sent[1] - double(port.lag(0, 1))};
    EXPECT_NEAR(served[0], 500 * kRate * kTick_s / 2, 1500);
    EXPECT_NEAR(served[1], served[0], 1500);
    EXPECT_EQ(port.classes[0].active_flows, 2u);
}

TEST(PhantomStep, ClassesShareByWeight) {
    Port port({1, 3}, {1, 4});
    for (int tick = 0; tick < 200; tick++) {
        for (int n = 0; n < 8; n++) {
            port.send(0, 0, 1500);
            port.send(1, static_cast<size_t>(n % 4), 1500);
        }
        port.tick(kRate, kTick_s);
    }
    EXPECT_NEAR(port.classes[0].service_bytes_per_s, kRate / 4, 1);
    EXPECT_NEAR(port.classes[1].service_bytes_per_s, kRate * 3 / 4, 1);
    EXPECT_EQ(port.classes[1].active_flows, 4u);
}

TEST(PhantomStep, AClassAloneMayHaveEverything) {
    Port port({1, 9}, {1, 1});
    for (int tick = 0; tick < 200; tick++) {
        for (int n = 0; n < 8; n++)
            port.send(0, 0, 1500);
        port.tick(kRate, kTick_s);
    }
    EXPECT_NEAR(port.classes[0].service_bytes_per_s, kRate, 0.01 * kRate);
    EXPECT_GT(port.classes[1].service_bytes_per_s, 0.85 * kRate) << "what b would get if it began now";
}

// A flow below its fair share always finds its last packet served.
TEST(PhantomStep, SparseFlowIsNeverDelayed) {
    Port port({1}, {3});
    for (int tick = 0; tick < 1000; tick++) {
        if (tick % 5 == 0) {
            EXPECT_EQ(port.lag(0, 2), 0u) << "tick " << tick;
            port.send(0, 2, 84);
        }
        for (int n = 0; n < 10; n++)
            port.send(0, static_cast<size_t>(n % 2), 1500);
        port.tick(kRate, kTick_s);
    }
}

TEST(PhantomStep, RateDropKeepsTheQueueAndSlowsTheClock) {
    Port port({1}, {2});
    auto offer = [&] {
        for (int n = 0; n < 6; n++)
            port.send(0, static_cast<size_t>(n % 2), 1500);
    };
    for (int tick = 0; tick < 100; tick++) {
        offer();
        port.tick(kRate, kTick_s);
    }
    const uint64_t vt = port.classes[0].vt;
    const double backlog = port.classes[0].backlog_bytes;
    port.tick(kRate / 10, kTick_s);
    EXPECT_NEAR(port.classes[0].backlog_bytes, backlog - kRate / 10 * kTick_s, 2);
    EXPECT_NEAR(static_cast<double>(port.classes[0].vt - vt), kRate / 10 * kTick_s / 2, 2);
    EXPECT_NEAR(port.classes[0].service_bytes_per_s, kRate / 10, 1);
}

// The ring is empty: what waits in the phantom queue only waits there, for both flows.
TEST(PhantomStep, ALinkThatCaughtUpLeavesNothingWaiting) {
    Port port({1}, {2});
    for (int n = 0; n < 30; n++)
        port.send(0, n % 3 ? 0 : 1, 1500);
    port.tick(kRate, kTick_s);
    ASSERT_GT(port.classes[0].backlog_bytes, 30'000);
    port.tick(kRate, kTick_s, 3000, true);
    EXPECT_NEAR(port.classes[0].backlog_bytes, 3000, 1) << "what the ring holds still waits";
    EXPECT_LE(port.lag(0, 0) + port.lag(0, 1), 3002u);
    EXPECT_NEAR(port.classes[0].service_bytes_per_s, kRate, 1) << "the rate is what it was";
}

TEST(PhantomStep, WhoWaitsForItsCeilingIsKnown) {
    Port port({1, 1}, {1, 1});
    std::vector<ShareTree::Node> nodes(3);
    nodes[1].ceiling_fraction = 0.25;
    port.tree = ShareTree(nodes);
    const auto send = [&port](int first, int second) {
        for (int tick = 0; tick < 100; tick++) {
            for (int n = 0; n < first; n++)
                port.send(0, 0, 1500);
            for (int n = 0; n < second; n++)
                port.send(1, 0, 1500);
            port.tick(kRate, kTick_s);
        }
    };
    send(2, 1); // 3000 + 1500 of 6250 bytes per tick
    EXPECT_TRUE(port.classes[0].under_ceiling);
    EXPECT_FALSE(port.classes[1].under_ceiling) << "it would get the rest";
    send(2, 6);
    EXPECT_FALSE(port.classes[1].under_ceiling);
    EXPECT_GT(port.classes[1].backlog_bytes, 0);
    send(2, 1);
    const double waits = port.classes[0].backlog_bytes;
    ASSERT_GT(waits, 0);
    port.tick(kRate, kTick_s, 0, true);
    EXPECT_NEAR(port.classes[0].backlog_bytes, waits - kRate / 4 * kTick_s, 1) << "the ceiling still holds";
    EXPECT_EQ(port.classes[1].backlog_bytes, 0);
}

TEST(PhantomStep, ZeroCapacityStopsTheClockOnly) {
    Port port({1}, {2});
    port.send(0, 0, 1500);
    port.send(0, 1, 1500);
    port.tick(0, kTick_s);
    const uint64_t vt = port.classes[0].vt;
    port.tick(0, kTick_s);
    EXPECT_EQ(port.classes[0].vt, vt);
    EXPECT_NEAR(port.classes[0].backlog_bytes, 3000, 1);
    EXPECT_EQ(port.classes[0].service_bytes_per_s, 0);
    port.tick(0, 0);
    EXPECT_TRUE(std::isfinite(port.classes[0].arrival_bytes_per_s));
}

TEST(PhantomStep, NoTimeServesNothing) {
    Port port({1}, {1});
    port.send(0, 0, 1500);
    port.tick(kRate, 0);
    EXPECT_NEAR(port.classes[0].backlog_bytes, 1500, 1e-6);
    EXPECT_EQ(port.classes[0].active_flows, 1u);
}

// The real ring holds more than is thought to wait: what waits there is charged to those who sent.
TEST(PhantomStep, RingAheadOfThePhantomQueueIsCharged) {
    Port port({1}, {1});
    for (int tick = 0; tick < 50; tick++) {
        for (int n = 0; n < 4; n++)
            port.send(0, 0, 1500);
        port.tick(kRate, kTick_s, 30'000);
    }
    EXPECT_GE(port.classes[0].backlog_bytes, 30'000 - 1);
}

} // namespace
} // namespace sluice
