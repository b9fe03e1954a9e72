#include "coverage.hpp"

#include <gtest/gtest.h>

#include "control/names.hpp"
#include "recipes.hpp"

namespace sluice::progrun {
namespace {

// The bytes of these reasons are those of an IP header, so a frame without one cannot have them.
bool asks_for_ip(uint32_t verdict) {
    switch (verdict) {
    case SLUICE_MARK:
    case would(SLUICE_WOULD_MARK):
    case SLUICE_TRIM:
    case SLUICE_BOUNCE:
    case would(SLUICE_WOULD_TRIM):
    case would(SLUICE_WOULD_BOUNCE):
    case SLUICE_PASS_OPTIONS:
    case SLUICE_PASS_TTL:
    case SLUICE_PASS_LOCAL:
    case SLUICE_PASS_NEIGHBOUR:
        return true;
    default:
        return false;
    }
}

bool cuts(uint32_t verdict) {
    return verdict == SLUICE_TRIM || verdict == SLUICE_BOUNCE || verdict == would(SLUICE_WOULD_TRIM) ||
           verdict == would(SLUICE_WOULD_BOUNCE);
}

bool is_routers_only(uint32_t verdict) {
    switch (verdict) {
    case SLUICE_PASS_NON_IP:
    case SLUICE_PASS_VLAN:
    case SLUICE_PASS_PPPOE:
    case SLUICE_PASS_OTHERHOST:
    case SLUICE_PASS_OPTIONS:
    case SLUICE_PASS_TTL:
    case SLUICE_PASS_LOCAL:
    case SLUICE_PASS_NEIGHBOUR:
    case SLUICE_PASS_NOT_OURS:
        return true;
    default:
        return false;
    }
}

// What route_fib() asks before it looks at encapsulation, address and family.
bool is_before_the_route(uint32_t verdict) {
    return verdict == SLUICE_PASS_MALFORMED || verdict == SLUICE_PASS_MULTICAST;
}

bool driven_here(uint32_t reader) {
    return reader == SLUICE_READER_NONE || reader == SLUICE_READER_TUN || reader == SLUICE_READER_VETH;
}

struct Impossible {
    const char *reason;
    bool (*holds)(const Cell &);
};

// The first that holds is the reason.
constexpr Impossible kImpossible[] = {
    {"a device of this driver is not to be had in a namespace: its ring runs live in tests/vm (virtio_net), "
     "or its "
     "fields and arithmetic are proven by tests/vm and tests/unit/rings_test.cpp (hardware)",
     [](const Cell &c) { return !driven_here(c.reader); }},
    {"nobody reads the ring: its guard cannot know that it is full",
     [](const Cell &c) { return c.verdict == SLUICE_DROP_RING && c.reader == SLUICE_READER_NONE; }},
    {"asks for a field of an IP header", [](const Cell &c) { return asks_for_ip(c.verdict) && !c.ip(); }},
    {"a PPPoE session has a length of its own: nothing in it is cut",
     [](const Cell &c) { return cuts(c.verdict) && c.pppoe; }},
    {"has no length that could be a lie",
     [](const Cell &c) { return c.verdict == SLUICE_PASS_MALFORMED && !c.ip() && !c.pppoe; }},
    {"a wire looks at no route", [](const Cell &c) { return c.xconnect && is_routers_only(c.verdict); }},
    {"routing: not in a PPPoE session",
     [](const Cell &c) { return c.verdict == SLUICE_PASS_PPPOE && !c.pppoe; }},
    {"routing: the session goes to the kernel's PPP interface first",
     [](const Cell &c) {
         return !c.xconnect && c.pppoe && c.verdict != SLUICE_PASS_PPPOE && !is_before_the_route(c.verdict);
     }},
    {"routing: what is not IP goes to the kernel first",
     [](const Cell &c) {
         return !c.xconnect && !c.ip() && !c.pppoe && c.verdict != SLUICE_PASS_NON_IP &&
                !is_before_the_route(c.verdict);
     }},
    {"is IP", [](const Cell &c) { return c.verdict == SLUICE_PASS_NON_IP && c.ip(); }},
    {"routing: is not tagged", [](const Cell &c) { return c.verdict == SLUICE_PASS_VLAN && c.tags == 0; }},
};

std::set<Cell> &covered() {
    static std::set<Cell> all;
    return all;
}

void judge(const Cell &cell) {
    const std::string why_not = impossible(cell);
    if (why_not.empty())
        EXPECT_TRUE(covered().contains(cell)) << "no test covers: " << describe(cell);
    else
        EXPECT_FALSE(covered().contains(cell))
            << describe(cell) << " happened, and is said to be impossible: " << why_not;
}

class Judge : public testing::Environment {
    void TearDown() override {
        if (GTEST_FLAG_GET(filter) != "*")
            return;
        for (const bool xconnect : {false, true})
            for (uint32_t reader = 0; reader < SLUICE_READERS; reader++)
                for (const Cell &cell : cells(xconnect, reader))
                    judge(cell);
    }
};

} // namespace

std::string describe(const Cell &c) {
    const auto verdict =
        is_would(c.verdict) ? would_name(c.verdict - SLUICE_OUTCOMES) : outcome_name(c.verdict);
    return std::string(verdict) + ", " +
           (c.family == 4   ? "IPv4"
            : c.family == 6 ? "IPv6"
                            : "not IP") +
           ", " + std::to_string(c.tags) + " tags, " + (c.pppoe ? "PPPoE, " : "") +
           (c.xconnect ? "xconnect" : "fib") + ", ring reader " + std::string(reader_name(c.reader));
}

std::vector<Cell> cells(bool xconnect, uint32_t reader) {
    std::vector<Cell> all;
    for (uint32_t verdict = 0; verdict < kVerdicts; verdict++)
        for (const int family : {4, 6, 0})
            for (int tags = 0; tags <= 2; tags++)
                for (const bool pppoe : {false, true})
                    all.push_back({verdict, family, tags, pppoe, xconnect, reader});
    return all;
}

std::string impossible(const Cell &cell) {
    for (const Impossible &row : kImpossible)
        if (row.holds(cell))
            return row.reason;
    return {};
}

void covers(const Cell &cell) {
    covered().insert(cell);
}

void judge_coverage_at_the_end() {
    testing::AddGlobalTestEnvironment(new Judge);
}

} // namespace sluice::progrun
