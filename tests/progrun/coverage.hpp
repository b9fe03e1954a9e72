// The coverage table: every verdict for every family, encapsulation, way of forwarding and ring reader is
// either brought about by a test, or stands below with the reason why it cannot be.
#pragma once

#include <sluice/rings/ring.h>

#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "packet.hpp"

namespace sluice::progrun {

struct Cell {
    uint32_t verdict = 0; // recipes.hpp
    int family = 4;       // 4, 6, 0 = not IP
    int tags = 0;
    bool pppoe = false, xconnect = false;
    uint32_t reader = 0; // enum sluice_reader

    auto operator<=>(const Cell &) const = default;
    FrameSpec spec() const { return {.family = family, .tags = tags, .pppoe = pppoe}; }
    bool ip() const { return family != 0; }
    bool bare() const { return tags == 0 && !pppoe; }
};
std::string describe(const Cell &cell);

// All cells of one way of forwarding and one reader.
std::vector<Cell> cells(bool xconnect, uint32_t reader);

// Why the cell cannot happen, or cannot be produced here; empty when a test must produce it.
std::string impossible(const Cell &cell);

// Tests say what they covered; the end of the program compares. Only whole runs are judged: with
// --gtest_filter nothing is.
void covers(const Cell &cell);
void judge_coverage_at_the_end();

} // namespace sluice::progrun
