// The other ways of a frame that must not join the queue: which one it takes, its bytes, and what is charged.
#include "ways.hpp"

#include <cstring>

namespace sluice::progrun {
namespace {

constexpr uint32_t kTrim = 100; // bytes of the IP packet

uint16_t get16(const Frame &f, size_t at) {
    return static_cast<uint16_t>(f[at] << 8 | f[at + 1]);
}
uint32_t get32(const Frame &f, size_t at) {
    return static_cast<uint32_t>(get16(f, at)) << 16 | get16(f, at + 2);
}
void put16(Frame &f, size_t at, uint32_t v) {
    f[at] = static_cast<uint8_t>(v >> 8);
    f[at + 1] = static_cast<uint8_t>(v);
}

// Internet checksum of bytes, 0 where one is in place and right. `sum`: of a pseudo-header.
uint16_t checksum(const Frame &f, size_t from, size_t bytes, uint32_t sum = 0) {
    for (size_t i = 0; i < bytes; i++)
        sum += i % 2 ? f[from + i] : static_cast<uint32_t>(f[from + i]) << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<uint16_t>(~sum);
}

Frame trimmed(Frame f, uint8_t dscp, uint32_t size = kTrim) {
    const size_t l3 = l3_offset(f);
    f.resize(l3 + size);
    if (f[l3] >> 4 == 4) {
        put16(f, l3 + 2, size);
        f[l3 + 1] = static_cast<uint8_t>(dscp << 2 | (f[l3 + 1] & 3));
        put16(f, l3 + 10, 0);
        put16(f, l3 + 10, checksum(f, l3, 20));
    } else {
        put16(f, l3 + 4, size - 40);
        const uint8_t tos = static_cast<uint8_t>(dscp << 2 | ((f[l3 + 1] >> 4) & 3));
        f[l3] = static_cast<uint8_t>(0x60 | tos >> 4);
        f[l3 + 1] = static_cast<uint8_t>(tos << 4 | (f[l3 + 1] & 15));
    }
    return f;
}

TEST_P(Ways, TrimCutsThePayloadAndNothingElse) {
    make("when_full: [trim, drop], trim: {size: 100, dscp: cs6}");
    for (int family : {4, 6})
        for (Proto proto : {Proto::udp, Proto::tcp, Proto::sctp})
            for (int tags = 0; tags <= 2; tags++) {
                SCOPED_TRACE(testing::Message() << family << " " << int(proto) << " tags " << tags);
                const Frame f =
                    build({.family = family, .tags = tags, .proto = proto, .tos = 1, .payload = 1000});
                sluice_flow &flow = refuse(f);
                const uint64_t finish = flow.finish;
                const Run r = run(f);
                EXPECT_EQ(r.outcome, SLUICE_TRIM);
                EXPECT_EQ(r.reply.verdict, kRedirect);
                Frame expected = trimmed(f, 48);
                if (!xconnect())
                    route_hop(expected, kSinkMac, kSlowMac);
                EXPECT_EQ(r.reply.out, expected);
                EXPECT_EQ(r.admitted, expected.size() + 24) << "charged with what is left";
                EXPECT_EQ(flow.finish - finish, expected.size() + 24);
                EXPECT_EQ(flow.refused, 0u);
            }
}

// Frames of several buffers: trimming gives back whole buffers, or a part of the last one that stays.
TEST_P(Ways, TrimCutsFramesOfSeveralBuffers) {
    for (uint32_t size : {100u, 3000u, 7000u}) {
        make("when_full: [trim, drop], trim: {size: " + std::to_string(size) + ", dscp: cs6}", 9000);
        for (int family : {4, 6}) {
            SCOPED_TRACE(testing::Message() << family << " to " << size);
            const Frame f = build({.family = family, .proto = Proto::tcp, .tos = 1, .payload = 8500});
            refuse(f, 400'000, 350'000);
            const Run r = run(f);
            EXPECT_EQ(r.outcome, SLUICE_TRIM);
            EXPECT_EQ(r.reply.verdict, kRedirect);
            Frame expected = trimmed(f, 48, size);
            if (!xconnect())
                route_hop(expected, kSinkMac, kSlowMac);
            EXPECT_EQ(r.reply.out, expected);
            EXPECT_EQ(r.admitted, expected.size() + 24);
        }
    }
}

TEST_P(Ways, WhatCannotBeTrimmedIsDropped) {
    make("when_full: [trim, drop], trim: {size: 100}");
    const FrameSpec cases[] = {
        {.family = 4, .payload = kTrim - 28},
        {.family = 6, .payload = kTrim - 48},
        {.family = 4, .payload = 1000, .fragment = true},
        {.family = 4, .payload = 1000, .first_fragment = true},
        {.family = 6, .payload = 1000, .fragment = true},
        {.family = 6, .payload = 1000, .extensions = {60}},
    };
    for (const FrameSpec &spec : cases) {
        const Frame f = build(spec);
        refuse(f);
        const Run r = run(f);
        EXPECT_EQ(r.outcome, SLUICE_DROP_LIMIT) << "payload " << spec.payload;
        EXPECT_EQ(r.reply.verdict, kDrop);
        EXPECT_EQ(r.reply.out, f);
    }
    for (int family : {4, 6}) {
        const Frame f = build({.family = family, .payload = kTrim - (family == 4 ? 28u : 48u) + 1});
        refuse(f);
        EXPECT_EQ(run(f).outcome, SLUICE_TRIM) << "one byte more";
    }
}

TEST_P(Ways, TheReserveForTrimmedFramesEnds) {
    make("when_full: [trim, drop], trim: {size: 100}");
    const Frame f = build({.payload = 1000});
    refuse(f, 43'750, 35'000);
    EXPECT_EQ(run(f).outcome, SLUICE_TRIM) << "a quarter above the limit";
    refuse(f, 43'751, 35'000);
    EXPECT_EQ(run(f).outcome, SLUICE_DROP_LIMIT);
    set_pressure(refuse(f), SLUICE_UNRESPONSIVE);
    EXPECT_EQ(run(f).outcome, SLUICE_DROP_LIMIT) << "a flow that does not respond gets no reserve";
}

TEST_P(Ways, MarkComesBeforeATrimForWhoCanBeMarked) {
    make("when_full: [mark, trim, drop], trim: {size: 100}");
    for (uint8_t ecn : {0, 2}) {
        const Frame f = build({.tos = ecn, .payload = 1000});
        const sluice_flow &flow = refuse(f, 40'000, 35'000);
        world->klass(index_of(flow)).ect_limit_bytes = 70'000;
        EXPECT_EQ(run(f).outcome, ecn ? SLUICE_MARK : SLUICE_TRIM);
    }
}

TEST_P(Ways, ShadowModeCountsTheWayAndForwards) {
    make("when_full: [trim, drop], trim: {size: 100, dscp: cs6}");
    auto &shadow = world->maps().transitions[world->dataplane->generation() * SLUICE_MAX_TRANSITIONS].shadow;
    const Frame f = build({.payload = 1000});
    refuse(f);
    shadow = 1;
    const Run r = run(f);
    shadow = 0;
    EXPECT_EQ(r.outcome, SLUICE_FORWARD);
    EXPECT_EQ(r.would[SLUICE_WOULD_TRIM], 1u);
    Frame expected = f;
    if (!xconnect())
        route_hop(expected, kSinkMac, kSlowMac);
    EXPECT_EQ(r.reply.out, expected);
}

TEST_P(Ways, SpillGivesTheFrameToTheKernelAsItCame) {
    make("when_full: [spill, drop]");
    for (int tags = 0; tags <= 2; tags++) {
        SCOPED_TRACE(tags);
        const Frame f = build({.tags = tags, .payload = 1000});
        refuse(f);
        const Run r = run(f);
        EXPECT_EQ(r.outcome, SLUICE_SPILL);
        EXPECT_EQ(r.reply.verdict, kPass);
        EXPECT_EQ(r.reply.out, f);
        EXPECT_EQ(r.admitted, 0u);
    }
}

// ---- bounce ----

void expect_notice(const Frame &in, const Frame &out) {
    const size_t l3 = l3_offset(out);
    const bool v4 = out[l3] >> 4 == 4;
    const size_t header = v4 ? 20 : 40, quote = v4 ? SLUICE_QUOTE4 : SLUICE_QUOTE6, icmp = l3 + header;
    ASSERT_EQ(out.size(), icmp + sizeof(sluice_notice) + quote);
    EXPECT_LE(out.size(), in.size());
    EXPECT_EQ(Frame(out.begin(), out.begin() + 6), Frame(in.begin() + 6, in.begin() + 12));
    EXPECT_EQ(Frame(out.begin() + 6, out.begin() + 12), Frame(in.begin(), in.begin() + 6));
    EXPECT_EQ(Frame(out.begin() + 12, out.begin() + static_cast<long>(l3)),
              Frame(in.begin() + 12, in.begin() + static_cast<long>(l3)));
    const size_t address = v4 ? 4 : 16, src = l3 + (v4 ? 12 : 8), dst = src + address;
    EXPECT_EQ(0, std::memcmp(&out[src], &in[dst], address));
    EXPECT_EQ(0, std::memcmp(&out[dst], &in[src], address));
    uint32_t pseudo = 0;
    if (v4) {
        EXPECT_EQ(get16(out, l3 + 2), out.size() - l3);
        EXPECT_EQ(out[l3 + 9], 1);
        EXPECT_EQ(checksum(out, l3, 20), 0);
    } else {
        EXPECT_EQ(get16(out, l3 + 4), out.size() - icmp);
        EXPECT_EQ(out[l3 + 6], 58);
        for (size_t i = 0; i < 32; i += 2)
            pseudo += get16(out, src + i);
        pseudo += static_cast<uint32_t>(out.size() - icmp) + 58;
    }
    EXPECT_EQ(checksum(out, icmp, out.size() - icmp, pseudo), 0) << "ICMP checksum";
    EXPECT_EQ(out[icmp], v4 ? SLUICE_NOTICE_ICMP : SLUICE_NOTICE_ICMP6);
    EXPECT_EQ(out[icmp + 4], SLUICE_NOTICE_VERSION);
    EXPECT_EQ(out[icmp + 5], quote);
    EXPECT_EQ(get32(out, icmp + 8), 40'000u) << "us that the flow waits";
    EXPECT_EQ(0, std::memcmp(&out[icmp + sizeof(sluice_notice)], &in[l3], quote)) << "the packet as it came";
}

TEST_P(Ways, BounceTellsTheSender) {
    make("when_full: [bounce, drop]");
    for (int family : {4, 6})
        for (Proto proto : {Proto::udp, Proto::tcp})
            for (int tags = 0; tags <= 2; tags++) {
                SCOPED_TRACE(testing::Message() << family << " " << int(proto) << " tags " << tags);
                const Frame f = build({.family = family, .tags = tags, .proto = proto, .payload = 1000});
                sluice_flow &flow = refuse(f);
                const Run r = run(f);
                EXPECT_EQ(r.outcome, SLUICE_BOUNCE);
                EXPECT_EQ(r.reply.verdict, kTx);
                EXPECT_EQ(r.admitted, 0u);
                EXPECT_EQ(flow.finish, world->share(index_of(flow)).vt0 + 40'000) << "not charged";
                expect_notice(f, r.reply.out);
            }
}

TEST_P(Ways, BounceNeverAnswersTheseFrames) {
    make("when_full: [bounce, drop]");
    std::vector<FrameSpec> cases = {
        {.proto = Proto::icmp, .payload = 1000},
        {.family = 6, .proto = Proto::icmp6, .payload = 1000},
        {.payload = 1000, .fragment = true},
        {.payload = 1000, .first_fragment = true},
        {.payload = 72 - 28 - 1}, // the answer would be longer
        {.family = 6, .payload = 112 - 48 - 1},
        {.family = 6, .payload = 1000, .extensions = {60}},
    };
    if (xconnect()) { // routed frames of this kind are the kernel's
        cases.push_back({.payload = 1000, .dst = "224.0.0.5"});
        cases.push_back({.payload = 1000, .src = "255.255.255.255"});
        cases.push_back({.payload = 1000, .dst = "169.254.1.1"});
        cases.push_back({.family = 6, .payload = 1000, .dst = "ff02::5"});
        cases.push_back({.family = 6, .payload = 1000, .src = "fe80::1"});
        cases.push_back({.payload = 1000, .dmac = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}});
        cases.push_back({.payload = 1000, .options = true});
    } else { // a forged source: its route leads elsewhere
        cases.push_back({.payload = 1000, .src = "10.3.0.2"});
        cases.push_back({.family = 6, .payload = 1000, .src = "fd03::2"});
        cases.push_back({.payload = 1000, .src = "192.0.2.1"});
    }
    for (const FrameSpec &spec : cases) {
        const Frame f = build(spec);
        refuse(f);
        const Run r = run(f);
        EXPECT_EQ(r.outcome, SLUICE_DROP_LIMIT) << spec.src << " " << spec.dst << " payload " << spec.payload;
        EXPECT_EQ(r.reply.out, f);
    }
    const Frame least = build({.payload = 72 - 28});
    refuse(least);
    EXPECT_EQ(run(least).outcome, SLUICE_BOUNCE) << "as long as the answer";
}

TEST_P(Ways, BounceIsLimitedPerCpu) {
    make("when_full: [bounce, drop]");
    const Frame f = build({.payload = 1000});
    uint32_t bounced = 0;
    const uint64_t start = monotonic_now_ns();
    sluice_flow &flow = refuse(f);
    constexpr uint32_t kFrames = 2000;
    for (uint32_t i = 0; i < kFrames; i++) {
        set_waiting(flow, 40'000, 35'000);
        bounced += run(f).outcome == SLUICE_BOUNCE;
    }
    const uint64_t allowed =
        SLUICE_BOUNCE_BURST + (monotonic_now_ns() - start) * SLUICE_BOUNCE_RATE / 1'000'000'000 + 1;
    EXPECT_LE(bounced, allowed);
    EXPECT_GE(bounced, SLUICE_BOUNCE_BURST);
}

INSTANTIATE_TEST_SUITE_P(Forward, Ways, testing::Bool(),
                         [](const auto &xconnect) { return xconnect.param ? "Xconnect" : "Fib"; });

} // namespace
} // namespace sluice::progrun
