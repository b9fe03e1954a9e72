// Hierarchical max-min against a slow reference that is written from its definition: raise everybody's level
// together in small steps. Checks invariants and the bound of would_get().
#include "control/share_tree.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace sluice {
namespace {

using Node = ShareTree::Node;

struct Leaf {
    uint32_t node;
    double demand;
};

std::vector<double> divide(ShareTree &tree, double credit, const std::vector<Leaf> &leaves) {
    tree.begin();
    for (const Leaf &l : leaves)
        tree.ask(l.node, l.demand);
    tree.divide(credit, credit, 1);
    std::vector<double> given;
    for (const Leaf &l : leaves)
        given.push_back(tree.given(l.node));
    return given;
}

TEST(ShareTree, TenantsFirstThenTheirClasses) {
    // port -> two tenants; the first has two busy classes, the second one
    ShareTree tree({{}, {.parent = 0}, {.parent = 0}, {.parent = 1}, {.parent = 1}, {.parent = 2}});
    const auto g = divide(tree, 100, {{3, 1000}, {4, 1000}, {5, 1000}});
    EXPECT_NEAR(g[0], 25, 1e-9);
    EXPECT_NEAR(g[1], 25, 1e-9);
    EXPECT_NEAR(g[2], 50, 1e-9);
}

TEST(ShareTree, BorrowingGoesThroughTheTree) {
    ShareTree tree({{}, {.parent = 0}, {.parent = 0}, {.parent = 1}, {.parent = 1}, {.parent = 2}});
    const auto g = divide(tree, 100, {{3, 10}, {4, 1000}, {5, 20}});
    EXPECT_NEAR(g[0], 10, 1e-9);
    EXPECT_NEAR(g[1], 70, 1e-9) << "what the other tenant leaves";
    EXPECT_NEAR(g[2], 20, 1e-9);
}

TEST(ShareTree, CeilingsHoldAtEveryLevel) {
    ShareTree tree({{},
                    {.parent = 0, .ceiling_bytes_per_s = 30},
                    {.parent = 0},
                    {.parent = 1, .ceiling_fraction = 0.5},
                    {.parent = 1},
                    {.parent = 2, .ceiling_bytes_per_s = 40}});
    const auto g = divide(tree, 100, {{3, 1000}, {4, 1000}, {5, 1000}});
    EXPECT_NEAR(g[0], 15, 1e-9) << "half of its tenant's ceiling";
    EXPECT_NEAR(g[1], 15, 1e-9);
    EXPECT_NEAR(g[2], 40, 1e-9);
}

TEST(ShareTree, AGuaranteeDeepInTheTreeReachesThePort) {
    ShareTree tree({{},
                    {.parent = 0, .weight = 1},
                    {.parent = 0, .weight = 99},
                    {.parent = 1, .guaranteed_bytes_per_s = 40},
                    {.parent = 2}});
    const auto g = divide(tree, 100, {{3, 1000}, {4, 1000}});
    EXPECT_GE(g[0], 40);
    EXPECT_NEAR(g[0] + g[1], 100, 1e-9);
}

TEST(ShareTree, PriorityIsAmongSiblingsOnly) {
    ShareTree tree({{},
                    {.parent = 0},
                    {.parent = 0},
                    {.parent = 1, .priority = 0},
                    {.parent = 1, .priority = 3},
                    {.parent = 2, .priority = 3}});
    const auto g = divide(tree, 100, {{3, 1000}, {4, 1000}, {5, 1000}});
    EXPECT_NEAR(g[0], 50, 1e-9);
    EXPECT_NEAR(g[1], 0, 1e-9);
    EXPECT_NEAR(g[2], 50, 1e-9) << "another tenant's priority is no business of this one";
}

TEST(ShareTree, WhoDoesNotAskCostsNothingAndGetsNothing) {
    ShareTree tree({{}, {.parent = 0}, {.parent = 0}});
    EXPECT_NEAR(divide(tree, 100, {{1, 1000}})[0], 100, 1e-9);
    EXPECT_EQ(tree.given(2), 0);
    EXPECT_NEAR(tree.would_get(2), 50, 1e-9);
    EXPECT_EQ(divide(tree, 100, {{2, 7}})[0], 7);
    EXPECT_EQ(tree.given(1), 0) << "what an earlier division gave is forgotten";
}

struct Random {
    std::vector<Node> nodes;
    std::vector<Leaf> leaves;
};

// Two to four levels, any weights, priorities, ceilings, guarantees; leaves ask anything.
Random random_tree() {
    Random r;
    const auto below = [](int n) { return *rc::gen::inRange(0, n); };
    const int inner = 1 + below(6);
    r.nodes.resize(1);
    for (int i = 0; i < inner; i++)
        r.nodes.push_back({.parent = static_cast<uint32_t>(below(static_cast<int>(r.nodes.size()))),
                           .priority = static_cast<uint8_t>(below(3)),
                           .weight = 1.0 + below(9),
                           .ceiling_bytes_per_s = below(3) ? 0.0 : 1000.0 + below(80'000)});
    const auto groups = static_cast<int>(r.nodes.size());
    const int leaves = 1 + below(12);
    for (int i = 0; i < leaves; i++) {
        r.leaves.push_back({static_cast<uint32_t>(r.nodes.size()), static_cast<double>(below(100'000))});
        r.nodes.push_back({.parent = static_cast<uint32_t>(below(groups)),
                           .priority = static_cast<uint8_t>(below(3)),
                           .weight = 1.0 + below(9),
                           .guaranteed_bytes_per_s = below(4) ? 0.0 : static_cast<double>(below(3000)),
                           .ceiling_bytes_per_s = below(3) ? 0.0 : 1000.0 + below(40'000)});
    }
    return r;
}

// Most that the leaves below `node` may have together.
double most(const Random &r, uint32_t node, double around) {
    const Node &n = r.nodes[node];
    const double limit = n.ceiling_bytes_per_s > 0 && node ? std::min(n.ceiling_bytes_per_s, around) : around;
    double sum = 0;
    bool leaf = false;
    for (const Leaf &l : r.leaves)
        if (l.node == node)
            sum += l.demand, leaf = true;
    for (uint32_t c = node + 1; !leaf && c < r.nodes.size(); c++)
        if (r.nodes[c].parent == node)
            sum += most(r, c, limit);
    return std::min(sum, limit);
}

RC_GTEST_PROP(ShareTreeProperty, WorkConservingWithinEveryCeiling, ()) {
    Random r = random_tree();
    ShareTree tree(r.nodes);
    const double credit = *rc::gen::inRange(1, 150'000);
    const auto given = divide(tree, credit, r.leaves);
    const double sum = std::accumulate(given.begin(), given.end(), 0.0);
    RC_ASSERT(std::abs(sum - std::min(credit, most(r, 0, credit))) < 1e-3);
    for (size_t i = 0; i < given.size(); i++) {
        RC_ASSERT(given[i] <= r.leaves[i].demand + 1e-6);
        const double ceiling = r.nodes[r.leaves[i].node].ceiling_bytes_per_s;
        RC_ASSERT(ceiling == 0 || given[i] <= ceiling + 1e-6);
    }
}

// Max-min: a sibling of the same priority that got more per weight beyond its guarantee cannot be the one who
// keeps an unsatisfied one waiting.
RC_GTEST_PROP(ShareTreeProperty, NobodyWaitsWhileASiblingHasMorePerWeight, ()) {
    Random r = random_tree();
    for (Node &n : r.nodes)
        n.guaranteed_bytes_per_s = 0;
    ShareTree tree(r.nodes);
    const double credit = *rc::gen::inRange(1, 150'000);
    const auto given = divide(tree, credit, r.leaves);
    for (size_t i = 0; i < given.size(); i++) {
        const Node &a = r.nodes[r.leaves[i].node];
        const double may = a.ceiling_bytes_per_s > 0 ? std::min(a.ceiling_bytes_per_s, r.leaves[i].demand)
                                                     : r.leaves[i].demand;
        if (given[i] >= may - 1e-6)
            continue;
        for (size_t k = 0; k < given.size(); k++) {
            const Node &b = r.nodes[r.leaves[k].node];
            if (k != i && a.parent == b.parent && a.priority == b.priority)
                RC_ASSERT(given[k] / b.weight <= given[i] / a.weight + 1e-6);
        }
    }
}

RC_GTEST_PROP(ShareTreeProperty, WouldGetIsNeverMoreThanAskingForAllGives, ()) {
    Random r = random_tree();
    for (Node &n : r.nodes)
        n.guaranteed_bytes_per_s = 0;
    const double credit = *rc::gen::inRange(1, 150'000);
    const size_t who = static_cast<size_t>(*rc::gen::inRange(0, static_cast<int>(r.leaves.size())));
    ShareTree tree(r.nodes);
    divide(tree, credit, r.leaves);
    const double promised = tree.would_get(r.leaves[who].node);
    auto greedy = r.leaves;
    greedy[who].demand = 1e9;
    const double gets = divide(tree, credit, greedy)[who];
    RC_ASSERT(promised <= gets * (1 + 1e-9) + 1e-3);
    RC_ASSERT(promised >= std::min(gets, r.leaves[who].demand) - 1e-3 || promised >= gets / 2);
}

} // namespace
} // namespace sluice
