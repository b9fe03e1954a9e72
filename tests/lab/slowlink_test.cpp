// The parts of slowlink whose errors would look like somebody else's: the rate arithmetic, the frame identity
// and the count of new TCP payload. No device, no clock.
#include <array>

#include <gtest/gtest.h>

#include "rate_schedule.hpp"
#include "recorder.hpp"

namespace lab {

namespace {

constexpr uint64_t second = 1'000'000'000;

TEST(RateSchedule, FrameTakesItsSizeOverTheRate) {
    const RateSchedule schedule(1000, 0);
    EXPECT_EQ(schedule.finish(5 * second, 500), 5 * second + second / 2);
}

TEST(RateSchedule, FrameThatSpansAStepIsSplitBetweenTheRates) {
    RateSchedule schedule(1000, 0);
    ASSERT_TRUE(schedule.plan("2s:4kbit").has_value()); // 500 bytes per second
    schedule.start(0);
    EXPECT_EQ(schedule.finish(second, 1500), 3 * second); // 1000 bytes until the step, 500 after it
    EXPECT_DOUBLE_EQ(schedule.capacity(second, 3 * second), 1500);
}

TEST(RateSchedule, PausedLinkNeverFinishesAndResumesWithItsRate) {
    RateSchedule schedule(1000, 0);
    schedule.pause(second);
    EXPECT_EQ(schedule.finish(2 * second, 1), never_ns);
    schedule.resume(4 * second);
    EXPECT_EQ(schedule.finish(second / 2, 1000), 4 * second + second / 2);
    EXPECT_DOUBLE_EQ(schedule.capacity(0, 5 * second), 2000);
}

TEST(RateSchedule, RefusesWhatIsNoSchedule) {
    RateSchedule schedule(1000, 0);
    EXPECT_FALSE(schedule.plan("2s=5mbit").has_value());
    EXPECT_FALSE(schedule.plan("2s:5furlongs").has_value());
    EXPECT_FALSE(parse_rate("fast").has_value());
}

// Ethernet, IPv4 and TCP headers of a full segment; `seq`, TTL, TOS and MAC addresses vary.
std::array<uint8_t, FRAME_KEY_BYTES> tcp_frame(uint32_t seq, uint8_t ttl = 64, uint8_t tos = 0,
                                               uint8_t mac = 1) {
    std::array<uint8_t, FRAME_KEY_BYTES> f{};
    f[5] = mac;
    f[12] = 8;
    f[14] = 0x45;
    f[15] = tos;
    f[16] = 1500 >> 8;
    f[17] = 1500 & 0xff;
    f[22] = ttl;
    f[23] = 6;
    f[26] = f[30] = 10;
    f[29] = 1;
    f[33] = 2;
    f[35] = 80;
    for (int i = 0; i < 4; i++)
        f[static_cast<size_t>(38 + i)] = static_cast<uint8_t>(seq >> (24 - 8 * i));
    f[46] = 8 << 4; // 12 bytes of options
    return f;
}

TEST(FrameKey, SurvivesForwardingAndMarking) {
    const auto sent = frame_identify(tcp_frame(7).data()),
               forwarded = frame_identify(tcp_frame(7, 63, 3, 9).data());
    EXPECT_EQ(frame_key(&sent, 0, 0), frame_key(&forwarded, 0, 0));
    EXPECT_EQ(sent.payload, 1448U);
}

TEST(FrameKey, SegmentOfAGsoFrameIsKeyedLikeTheFrameOnTheWire) {
    const auto gso = frame_identify(tcp_frame(1000).data()),
               third = frame_identify(tcp_frame(1000 + 2 * 1448).data());
    EXPECT_EQ(frame_key(&gso, 2, 1448), frame_key(&third, 0, 0));
    EXPECT_NE(frame_key(&gso, 1, 1448), frame_key(&third, 0, 0));
}

TEST(Recorder, RetransmissionBelowTheHighestSequenceIsNotCountedTwice) {
    Recorder recorder;
    const auto serve = [&](uint32_t seq) {
        recorder.served(frame_identify(tcp_frame(seq).data()), 1538, 0, 0);
        return recorder.samples.back().fresh_bytes;
    };
    const uint32_t first = UINT32_MAX - 1000; // wraps within the first segment
    EXPECT_EQ(serve(first), 1448U);
    EXPECT_EQ(serve(first + 2 * 1448), 2U * 1448); // the hole is counted when it is jumped over
    EXPECT_EQ(serve(first + 1448), 0U);            // and not when it is filled
    EXPECT_EQ(recorder.flows.size(), 1U);
}

} // namespace

} // namespace lab
