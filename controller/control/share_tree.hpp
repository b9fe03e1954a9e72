// Hierarchical weighted max-min: a tree of shares (port -> groups -> tenants -> classes) divides what the
// port can send among the leaves that ask. Cost follows the leaves that ask, not the size of the tree.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace sluice {

// What one child asks of its parent. Amounts are bytes, or bytes per second, the same for all fields of one
// call.
struct ShareRequest {
    double demand = 0;     // never gets more than it asks
    double guaranteed = 0; // served first, whatever the priority
    double ceiling = 0;    // never gets more than this; 0 = no ceiling
    double weight = 1;     // > 0, counts within one priority
    uint8_t priority = 1;  // lower is served first
};

// How the division of one priority went: enough to tell what one more child would have got.
struct ShareLevel {
    uint8_t priority = 0;
    double credit = 0;          // what there was for this priority and those after it
    double weight = 0;          // of all children of this priority
    double unsatisfied = 0;     // weight of those that got less than they asked
    double satisfied_bytes = 0; // what the others took
};

// Weighted max-min: guarantees, then priority by priority, water-filling within each. Work-conserving: the
// sum given is min(credit, sum of what may be given). `given` has one entry per request; `levels`, where
// wanted, gets one per priority that occurs, in order.
void share_out(double credit, std::span<const ShareRequest> requests, std::span<double> given,
               std::vector<ShareLevel> *levels = nullptr);

class ShareTree {
  public:
    // Rates are bytes/s, 0 = none. A fraction, where not 0, is of the nearest limit around the node.
    struct Node {
        uint32_t parent = 0;
        uint8_t priority = 1;
        double weight = 1;
        double guaranteed_bytes_per_s = 0, ceiling_bytes_per_s = 0;
        double guaranteed_fraction = 0, ceiling_fraction = 0;
    };

    // nodes[0] is the port; parents come before their children.
    explicit ShareTree(std::vector<Node> nodes);

    // One division: begin, ask for every leaf that wants something, divide, look.
    void begin();
    void ask(uint32_t leaf, double demand);
    // `credit` in units of rate times `unit_s`; rates of the nodes are scaled by it, fractions are of
    // `capacity`.
    void divide(double credit, double capacity_bytes_per_s, double unit_s);
    double given(uint32_t node) const;
    // bytes/s: the tightest ceiling of a node that asked and of those around it, or the capacity.
    double limit(uint32_t node) const;
    // What a leaf that asked for little or nothing would have got, had it asked for everything: a lower
    // bound, exact unless others would then get less than they asked for the first time.
    double would_get(uint32_t leaf) const;

  private:
    // State of one division, valid where `round` is the current one.
    struct Work {
        uint32_t round = 0;
        double demand = 0, guaranteed = 0, limit_bytes_per_s = 0, given = 0;
        std::vector<uint32_t> busy; // children that ask
        std::vector<ShareLevel> levels;
    };

    Work &enter(uint32_t node);
    double limit_of(uint32_t node, double around) const;
    double guarantee_of(uint32_t node, double around) const;
    void set_limits();
    void gather_demand();
    void share_out_children(uint32_t node);
    double one_more(uint32_t parent, uint32_t child, double parent_gets, double around) const;

    std::vector<Node> nodes_;
    std::vector<uint8_t> depth_;
    std::vector<Work> work_;
    std::vector<std::vector<uint32_t>> busy_by_depth_;
    uint32_t round_ = 0;
    double unit_s_ = 1;
    std::vector<ShareRequest> requests_; // scratch
    std::vector<double> shares_;
};

} // namespace sluice
