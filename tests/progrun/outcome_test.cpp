// Every verdict, for every family, encapsulation, way of forwarding and ring reader: XDP action, bytes,
// checksums, counters. What no test brings about and nobody has explained (coverage.cpp) fails.
#include "coverage.hpp"
#include "recipes.hpp"
#include "ways.hpp"

namespace sluice::progrun {
namespace {

struct Way {
    const char *name;
    bool xconnect;
    uint32_t reader;
};

constexpr Way kWays[] = {
    {"FibTap", false, SLUICE_READER_TUN},       {"XconnectTap", true, SLUICE_READER_TUN},
    {"FibVeth", false, SLUICE_READER_VETH},     {"XconnectVeth", true, SLUICE_READER_VETH},
    {"FibNoReader", false, SLUICE_READER_NONE}, {"XconnectNoReader", true, SLUICE_READER_NONE},
};

bool is_way_out(uint32_t verdict) {
    return (verdict >= SLUICE_SPILL && verdict <= SLUICE_BOUNCE) ||
           (is_would(verdict) && verdict >= would(SLUICE_WOULD_SPILL));
}

class Outcome : public testing::TestWithParam<Way> {
  protected:
    void SetUp() override {
        const Way &way = GetParam();
        world = World::make({.policy = way.xconnect ? kXconnect : kFib,
                             .slow_kind = way.reader == SLUICE_READER_VETH ? "veth" : "tap"});
        ASSERT_TRUE(world);
        if (way.reader == SLUICE_READER_NONE)
            world->maps().ports[kWan].reader =
                SLUICE_READER_NONE; // as for a driver that nobody has a reader for
        ASSERT_EQ(world->maps().ports[kWan].reader, way.reader);
    }
    void cover(const Cell &cell) {
        const auto recipe = scene(cell.verdict, cell.spec());
        ASSERT_TRUE(recipe) << "nobody has said how this comes about";
        play(*world, cell.verdict, *recipe, cell.xconnect);
        if (outcome_of(cell.verdict) <= SLUICE_MARK)
            play_live(*world, cell.verdict, *recipe, cell.xconnect);
        covers(cell);
    }
    std::unique_ptr<World> world;
};

TEST_P(Outcome, EveryCombinationThatCanHappen) {
    for (const Cell &cell : cells(GetParam().xconnect, GetParam().reader)) {
        if (!impossible(cell).empty() || is_way_out(cell.verdict))
            continue;
        SCOPED_TRACE(describe(cell));
        ASSERT_NO_FATAL_FAILURE(cover(cell));
    }
}

// The same for the ways out of a full queue: which one is counted, and as what the frame goes on. Its bytes
// are the business of ways_test.cpp and reroute_test.cpp.
class WayOut : public testing::TestWithParam<Way> {
  protected:
    void make(const std::string &way) {
        const Way &by = GetParam();
        world = World::make({.policy = policy_with(by.xconnect, "when_full: [" + way + ", drop]"),
                             .wan = std::string("{device: slow}") + kLte,
                             .slow_kind = by.reader == SLUICE_READER_VETH ? "veth" : "tap"});
        ASSERT_TRUE(world);
        if (by.reader == SLUICE_READER_NONE)
            world->maps().ports[kWan].reader = SLUICE_READER_NONE;
    }
    // Its flow waits longer than it may, and the other port would serve it better.
    void refuse(const Frame &frame) {
        constexpr uint32_t kLteClass = 2;
        world->reset();
        sluice_flow &flow = world->flow_of(frame);
        const uint32_t index = flow.class_id - world->dataplane->class_base();
        world->set_lag(flow, 40'000);
        world->share(index).target_bytes = 17'500;
        set_limits(world->share(index), 35'000, 35'000);
        world->share(index).bytes_per_ns = 1000;
        world->share(kLteClass).bytes_per_ns = 2000;
    }
    void cover(const Cell &cell) {
        FrameSpec spec = cell.spec();
        spec.payload = 1000;
        const Frame frame = build(spec);
        refuse(frame);
        auto &row = world->maps().transitions[world->dataplane->generation() * SLUICE_MAX_TRANSITIONS];
        row.shadow = is_would(cell.verdict);
        const Totals before = world->totals();
        const Reply reply = world->run(frame);
        const Totals after = world->totals();
        row.shadow = 0;
        EXPECT_EQ(reply.verdict, action(outcome_of(cell.verdict)));
        for (uint32_t o = 0; o < SLUICE_OUTCOMES; o++)
            EXPECT_EQ(after.of_port[o] - before.of_port[o], o == outcome_of(cell.verdict) ? 1u : 0u)
                << "of the port " << o;
        for (uint32_t w = 0; w < SLUICE_WOULDS; w++)
            EXPECT_EQ(after.would[w] - before.would[w], SLUICE_OUTCOMES + w == cell.verdict ? 1u : 0u)
                << "would " << w;
        if (!HasFailure())
            covers(cell);
    }
    static uint32_t action(uint32_t outcome) {
        return outcome == SLUICE_SPILL ? kPass : outcome == SLUICE_BOUNCE ? kTx : kRedirect;
    }
    std::unique_ptr<World> world;
};

TEST_P(WayOut, EveryCombinationThatCanHappen) {
    const std::pair<uint32_t, const char *> ways[] = {{SLUICE_WOULD_SPILL, "spill"},
                                                      {SLUICE_WOULD_REROUTE, "reroute"},
                                                      {SLUICE_WOULD_TRIM, "trim"},
                                                      {SLUICE_WOULD_BOUNCE, "bounce"}};
    for (const auto &[shadow, name] : ways) {
        ASSERT_NO_FATAL_FAILURE(make(name));
        const uint32_t enforced = SLUICE_SPILL + (shadow - SLUICE_WOULD_SPILL);
        for (const Cell &cell : cells(GetParam().xconnect, GetParam().reader)) {
            if (!impossible(cell).empty() || (cell.verdict != enforced && cell.verdict != would(shadow)))
                continue;
            SCOPED_TRACE(describe(cell));
            cover(cell);
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Ways, WayOut, testing::ValuesIn(kWays),
                         [](const auto &way) { return way.param.name; });

INSTANTIATE_TEST_SUITE_P(Ways, Outcome, testing::ValuesIn(kWays),
                         [](const auto &way) { return way.param.name; });

const bool kJudged = (judge_coverage_at_the_end(), true);

} // namespace
} // namespace sluice::progrun
