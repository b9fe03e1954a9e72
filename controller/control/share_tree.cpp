#include "control/share_tree.hpp"

#include <algorithm>

namespace sluice {
namespace {

double wish(const ShareRequest &r) {
    return r.ceiling > 0 ? std::min(r.demand, r.ceiling) : r.demand;
}

// One priority: raise everybody's level together, by weight, until the credit or the wishes run out. Whoever
// wants least per weight is satisfied first.
double fill_priority(std::span<const uint32_t> members, double credit, std::span<const ShareRequest> requests,
                     std::span<double> given, ShareLevel &level) {
    struct Room {
        double bytes, weight;
        uint32_t index;
    };
    thread_local std::vector<Room> rooms;
    rooms.clear();
    double weights = 0;
    level.credit = credit;
    for (uint32_t i : members) {
        const double room = wish(requests[i]) - given[i];
        level.weight += requests[i].weight;
        if (room > 0)
            rooms.push_back({room, requests[i].weight, i});
    }
    for (const Room &r : rooms)
        weights += r.weight;
    std::sort(rooms.begin(), rooms.end(),
              [](const Room &a, const Room &b) { return a.bytes * b.weight < b.bytes * a.weight; });
    for (const Room &r : rooms) {
        const double share = std::min(r.bytes, credit * r.weight / weights);
        if (share < r.bytes)
            level.unsatisfied += r.weight;
        else
            level.satisfied_bytes += share;
        given[r.index] += share;
        credit = std::max(0.0, credit - share);
        weights -= r.weight;
        if (weights <= 0)
            break;
    }
    return credit;
}

} // namespace

void share_out(double credit, std::span<const ShareRequest> requests, std::span<double> given,
               std::vector<ShareLevel> *levels) {
    constexpr size_t priorities = 8;
    thread_local std::array<std::vector<uint32_t>, priorities> members;
    for (auto &list : members)
        list.clear();
    for (uint32_t i = 0; i < requests.size(); i++) {
        given[i] = std::min({wish(requests[i]), requests[i].guaranteed, credit});
        credit -= given[i];
        members[requests[i].priority % priorities].push_back(i);
    }
    if (levels)
        levels->clear();
    for (uint8_t p = 0; p < priorities; p++) {
        if (members[p].empty())
            continue;
        ShareLevel level{p, 0, 0, 0, 0};
        credit = fill_priority(members[p], credit, requests, given, level);
        if (levels)
            levels->push_back(level);
    }
}

ShareTree::ShareTree(std::vector<Node> nodes)
    : nodes_(std::move(nodes)), depth_(nodes_.size()), work_(nodes_.size()) {
    for (size_t i = 1; i < nodes_.size(); i++)
        depth_[i] = static_cast<uint8_t>(depth_[nodes_[i].parent] + 1);
    busy_by_depth_.resize(1 + *std::max_element(depth_.begin(), depth_.end()));
}

void ShareTree::begin() {
    round_++;
    for (auto &list : busy_by_depth_)
        list.clear();
}

ShareTree::Work &ShareTree::enter(uint32_t node) {
    Work &w = work_[node];
    if (w.round == round_)
        return w;
    w.round = round_;
    w.demand = w.guaranteed = w.given = 0;
    w.busy.clear();
    busy_by_depth_[depth_[node]].push_back(node);
    if (node != 0)
        enter(nodes_[node].parent).busy.push_back(node);
    return w;
}

void ShareTree::ask(uint32_t leaf, double demand) {
    enter(leaf).demand = demand;
}

double ShareTree::limit_of(uint32_t node, double around) const {
    const Node &n = nodes_[node];
    const double own = n.ceiling_fraction > 0 ? n.ceiling_fraction * around : n.ceiling_bytes_per_s;
    return own > 0 ? std::min(own, around) : around;
}

double ShareTree::guarantee_of(uint32_t node, double around) const {
    const Node &n = nodes_[node];
    return std::min(n.guaranteed_fraction > 0 ? n.guaranteed_fraction * around : n.guaranteed_bytes_per_s,
                    limit_of(node, around));
}

// From the port to the leaves.
void ShareTree::set_limits() {
    for (const auto &level : busy_by_depth_)
        for (uint32_t node : level) {
            if (node == 0)
                continue;
            const double around = work_[nodes_[node].parent].limit_bytes_per_s;
            work_[node].limit_bytes_per_s = limit_of(node, around);
            work_[node].guaranteed = guarantee_of(node, around) * unit_s_;
        }
}

// From the leaves to the port: a parent asks for what its children may have, and what is guaranteed to them
// is guaranteed to it.
void ShareTree::gather_demand() {
    for (auto level = busy_by_depth_.rbegin(); level != busy_by_depth_.rend(); ++level)
        for (uint32_t node : *level) {
            Work &w = work_[node];
            double promised = 0;
            for (uint32_t child : w.busy) {
                w.demand += work_[child].demand;
                promised += work_[child].guaranteed;
            }
            if (node != 0)
                w.demand = std::min(w.demand, w.limit_bytes_per_s * unit_s_);
            w.guaranteed = std::min(std::max(w.guaranteed, promised), w.demand);
        }
}

void ShareTree::share_out_children(uint32_t node) {
    Work &w = work_[node];
    if (w.busy.empty())
        return;
    requests_.clear();
    for (uint32_t child : w.busy) {
        const Work &c = work_[child];
        requests_.push_back({c.demand, c.guaranteed, 0, nodes_[child].weight, nodes_[child].priority});
    }
    shares_.resize(requests_.size());
    share_out(w.given, requests_, shares_, &w.levels);
    for (size_t i = 0; i < w.busy.size(); i++)
        work_[w.busy[i]].given = shares_[i];
}

void ShareTree::divide(double credit, double capacity_bytes_per_s, double unit_s) {
    unit_s_ = unit_s;
    Work &root = enter(0);
    root.limit_bytes_per_s = capacity_bytes_per_s;
    set_limits();
    gather_demand();
    root.given = credit;
    for (const auto &level : busy_by_depth_)
        for (uint32_t node : level)
            share_out_children(node);
}

double ShareTree::given(uint32_t node) const {
    return work_[node].round == round_ ? work_[node].given : 0;
}

double ShareTree::limit(uint32_t node) const {
    return work_[node].round == round_ ? work_[node].limit_bytes_per_s : 0;
}

// What `child` would get of `parent_gets` if it asked for everything; the bounds are those of ShareLevel.
double ShareTree::one_more(uint32_t parent, uint32_t child, double parent_gets, double around) const {
    const Node &n = nodes_[child];
    const Work &p = work_[parent], &c = work_[child];
    const double most = limit_of(child, around) * unit_s_;
    if (p.round != round_ || p.busy.empty())
        return std::min(most, parent_gets);
    const bool asked = c.round == round_;
    const double has = asked ? c.given : 0, extra = parent_gets - p.given;
    const double sure = std::max(has, std::min(guarantee_of(child, around) * unit_s_, parent_gets));
    for (const ShareLevel &level : p.levels) {
        if (level.priority < n.priority)
            continue;
        // Its own priority is where it joins; with none of its own, it comes before the next one's credit is
        // touched.
        const bool own = level.priority == n.priority;
        const double credit = std::max(0.0, level.credit + extra);
        const double others = own ? level.weight - (asked ? n.weight : 0) : 0;
        const double unsatisfied = own ? level.unsatisfied : 0,
                     satisfied = own ? level.satisfied_bytes - has : 0;
        const double fair = credit * n.weight / (others + n.weight);
        const double left =
            std::max(0.0, credit - std::max(0.0, satisfied)) * n.weight / (unsatisfied + n.weight);
        return std::min(most, std::max({sure, fair, left}));
    }
    // Everybody comes before it: the rest.
    double rest = parent_gets;
    for (uint32_t other : p.busy)
        rest -= other == child ? 0 : work_[other].given;
    return std::min(most, std::max(sure, rest));
}

double ShareTree::would_get(uint32_t leaf) const {
    std::array<uint32_t, 32> path{};
    size_t length = 0;
    for (uint32_t node = leaf; node != 0 && length < path.size(); node = nodes_[node].parent)
        path[length++] = node;
    double gets = work_[0].given, around = work_[0].limit_bytes_per_s;
    uint32_t parent = 0;
    while (length > 0) {
        const uint32_t node = path[--length];
        gets = one_more(parent, node, gets, around);
        around = limit_of(node, around);
        parent = node;
    }
    return gets;
}

} // namespace sluice
