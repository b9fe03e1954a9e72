// Every verdict, for every family, encapsulation, way of forwarding and ring reader: XDP action, bytes,
// checksums, counters. What no test brings about and nobody has explained (coverage.cpp) fails.
#include "coverage.hpp"
#include "recipes.hpp"

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
        const auto recipe = scene(cell.verdict, cell.spec(), cell.xconnect);
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
        if (!impossible(cell).empty())
            continue;
        SCOPED_TRACE(describe(cell));
        ASSERT_NO_FATAL_FAILURE(cover(cell));
    }
}

INSTANTIATE_TEST_SUITE_P(Ways, Outcome, testing::ValuesIn(kWays),
                         [](const auto &way) { return way.param.name; });

const bool kJudged = (judge_coverage_at_the_end(), true);

} // namespace
} // namespace sluice::progrun
