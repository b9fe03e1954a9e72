// Virtual-time arithmetic of phantom.h: monotone, bounded, exact to the byte, right across 64-bit wraps.
#include <sluice/phantom.h>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>

namespace {

sluice_share share_of(double bytes_per_s, uint64_t vt0 = 0, uint64_t t0_ns = 1'000'000) {
    sluice_share s{};
    s.vt0 = vt0;
    s.t0_ns = t0_ns;
    s.bytes_per_ns = static_cast<uint64_t>(bytes_per_s * 1e-9 * 4294967296.0);
    s.ns_per_byte = static_cast<uint64_t>(1e9 / bytes_per_s * 1048576.0);
    return s;
}

rc::Gen<double> any_rate() { // 1 kbit/s .. 400 Gbit/s, evenly over the magnitudes
    return rc::gen::map(rc::gen::inRange(0, 86'000), [](int x) { return 125.0 * std::pow(10, x * 1e-4); });
}

TEST(VirtualTime, AdvancesByTheRate) {
    const sluice_share s = share_of(6.25e6, 1000);
    EXPECT_EQ(sluice_vt(&s, s.t0_ns), 1000u);
    EXPECT_NEAR(static_cast<double>(sluice_vt(&s, s.t0_ns + 10'000'000)), 1000 + 62'500, 1);
}

TEST(VirtualTime, BeforeT0CountsAsT0) {
    const sluice_share s = share_of(50e9, 77);
    EXPECT_EQ(sluice_vt(&s, s.t0_ns - 1), 77u);
    EXPECT_EQ(sluice_vt(&s, 0), 77u);
}

TEST(VirtualTime, StopsAtTheHorizonWithoutOverflow) {
    for (double rate : {125.0, 6.25e6, 1.25e9, 12.5e9, 50e9}) {
        const sluice_share s = share_of(rate);
        const uint64_t at_horizon = sluice_vt(&s, s.t0_ns + SLUICE_HORIZON_NS);
        const double want = rate * 1e-9 * SLUICE_HORIZON_NS;
        EXPECT_NEAR(static_cast<double>(at_horizon), want,
                    1 + 1e-6 * want + SLUICE_HORIZON_NS / 4294967296.0);
        EXPECT_EQ(sluice_vt(&s, s.t0_ns + SLUICE_HORIZON_NS + 1), at_horizon);
        EXPECT_EQ(sluice_vt(&s, s.t0_ns + 3'600'000'000'000), at_horizon);
        EXPECT_EQ(sluice_vt(&s, s.t0_ns + (1ull << 62)), at_horizon);
    }
}

TEST(VirtualTime, WrapsTogetherWithFinish) {
    const sluice_share s = share_of(1e9, 0 - 500ull);
    const uint64_t vt = sluice_vt(&s, s.t0_ns + 1000);
    EXPECT_NEAR(static_cast<double>(vt), 500, 1);
    EXPECT_EQ(sluice_lag(vt - 1000, vt), 0u);
    EXPECT_EQ(sluice_lag(vt + 7, vt), 7u);
}

TEST(VirtualTime, TimeWraps) {
    const sluice_share s = share_of(1e9, 0, 0 - 1000ull);
    EXPECT_NEAR(static_cast<double>(sluice_vt(&s, 1000)), 2000, 1);
}

TEST(Charge, IdleFlowStartsAtTheClock) {
    EXPECT_EQ(sluice_charge(100, 5000, 84), 5084u);
    EXPECT_EQ(sluice_charge(5000, 5000, 84), 5084u);
}

TEST(Charge, BackloggedFlowQueuesBehindItself) {
    EXPECT_EQ(sluice_charge(6000, 5000, 84), 6084u);
}

TEST(Charge, ZeroRateDelaysNobodyForever) {
    sluice_share s{};
    s.vt0 = 10;
    EXPECT_EQ(sluice_vt(&s, 1'000'000'000), 10u);
    EXPECT_EQ(sluice_delay_ns(&s, 1 << 20), 0u) << "rate unknown: the limit in bytes still holds";
}

RC_GTEST_PROP(VirtualTimeProperty, NeverGoesBackwards, ()) {
    const sluice_share s =
        share_of(*any_rate(), *rc::gen::arbitrary<uint64_t>(), *rc::gen::arbitrary<uint64_t>());
    const uint64_t t1 = *rc::gen::inRange<uint64_t>(0, 1ull << 27),
                   dt = *rc::gen::inRange<uint64_t>(0, 1ull << 27);
    const uint64_t v1 = sluice_vt(&s, s.t0_ns + t1), v2 = sluice_vt(&s, s.t0_ns + t1 + dt);
    RC_ASSERT(static_cast<int64_t>(v2 - v1) >= 0);
    RC_ASSERT(static_cast<int64_t>(v1 - s.vt0) >= 0);
}

// lag -> delay -> advance by that delay: the flow is served, within rounding.
RC_GTEST_PROP(VirtualTimeProperty, DelayIsTheTimeUntilServed, ()) {
    const double rate = *any_rate();
    const sluice_share s = share_of(rate, *rc::gen::arbitrary<uint64_t>());
    const double horizon_bytes = rate * 1e-9 * SLUICE_HORIZON_NS;
    const uint64_t lag = 1 + static_cast<uint64_t>(horizon_bytes * *rc::gen::inRange(0, 1000) * 0.00099);
    const uint64_t delay = sluice_delay_ns(&s, lag);
    const double want_ns = static_cast<double>(lag) / rate * 1e9;
    // 20 fraction bits: at 400 Gbit/s one byte is 0.02 ns, so 20971 steps; 5e-5 relative.
    RC_ASSERT(std::abs(static_cast<double>(delay) - want_ns) <= 1 + 1e-4 * want_ns);
    if (delay < SLUICE_HORIZON_NS) {
        const double left = static_cast<double>(sluice_lag(s.vt0 + lag, sluice_vt(&s, s.t0_ns + delay)));
        RC_ASSERT(left <= 1 + rate * 1e-9 + 1e-4 * static_cast<double>(lag));
    }
}

RC_GTEST_PROP(VirtualTimeProperty, ChargeAddsExactlyTheBytes, ()) {
    const uint64_t vt = *rc::gen::arbitrary<uint64_t>(), offset = *rc::gen::inRange<uint64_t>(0, 1ull << 40);
    const bool ahead = *rc::gen::arbitrary<bool>();
    const uint32_t bytes = *rc::gen::inRange<uint32_t>(1, 70'000);
    const uint64_t finish = ahead ? vt + offset : vt - offset;
    const uint64_t next = sluice_charge(finish, vt, bytes);
    RC_ASSERT(next == (ahead ? finish : vt) + bytes);
    RC_ASSERT(sluice_lag(next, vt) == sluice_lag(finish, vt) + bytes);
}

TEST(WireBytes, FramingAndMinimum) {
    sluice_port p{};
    p.overhead = 24;
    p.mpu = 84;
    EXPECT_EQ(sluice_wire_bytes(&p, 1514), 1538u);
    EXPECT_EQ(sluice_wire_bytes(&p, 60), 84u);
    EXPECT_EQ(sluice_wire_bytes(&p, 14), 84u);
    p.mpu = 0;
    EXPECT_EQ(sluice_wire_bytes(&p, 14), 38u);
}

TEST(WireBytes, AtmCells) {
    sluice_port p{};
    p.overhead = 8;
    p.cells = 1;
    EXPECT_EQ(sluice_wire_bytes(&p, 40), 53u) << "48 bytes: one cell";
    EXPECT_EQ(sluice_wire_bytes(&p, 41), 106u);
    EXPECT_EQ(sluice_wire_bytes(&p, 1500), 32u * 53);
}

RC_GTEST_PROP(WireBytesProperty, NeverLessThanTheFrame, ()) {
    sluice_port p{};
    p.overhead = *rc::gen::inRange<uint32_t>(0, 256);
    p.mpu = *rc::gen::inRange<uint32_t>(0, 256);
    p.cells = *rc::gen::arbitrary<bool>();
    const uint32_t length = *rc::gen::inRange<uint32_t>(14, 65'535);
    const uint32_t wire = sluice_wire_bytes(&p, length);
    RC_ASSERT(wire >= length + p.overhead);
    RC_ASSERT(wire >= p.mpu);
    RC_ASSERT(sluice_wire_bytes(&p, length + 1) >= wire);
    if (p.cells)
        RC_ASSERT(wire % 53 == 0u);
}

// Clocks of CPUs are apart by up to a jiffy: the frame before may have left a moment later than now.
TEST(Away, AgeIsNoneAheadOfTheClock) {
    constexpr uint64_t kTick = 1 << 17, kWrap = kTick << 13, kNow = 5 * kWrap;
    const auto age = [](uint64_t left_ns) {
        return sluice_away_age(SLUICE_AWAY(SLUICE_AWAY_SPILL, left_ns), kNow);
    };
    EXPECT_EQ(age(kNow), 0u);
    EXPECT_EQ(age(kNow + kTick), 0u);
    EXPECT_EQ(age(kNow + 10'000'000), 0u);
    EXPECT_EQ(age(kNow - 1), 1u);
    EXPECT_EQ(age(kNow - 400'000'000), 400'000'000 / kTick + 1);
    EXPECT_EQ(age(kNow - kWrap + 20'000'000), 8191u - 20'000'000 / kTick + 1);
}

} // namespace
