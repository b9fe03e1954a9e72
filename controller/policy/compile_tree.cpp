// Who shares with whom: port -> groups of tenants -> tenants -> groups of classes -> classes.
#include "policy/compile.hpp"

namespace sluice {
namespace {

class Tree {
  public:
    std::vector<TreeNode> nodes{TreeNode{}};

    void add(const Transition &t, const CompiledTransition &compiled, uint32_t transition) {
        if (!t.tenants)
            return add_classes(t, compiled, transition, 0, 0);
        std::vector<uint32_t> groups;
        for (const auto &g : t.tenants->groups)
            groups.push_back(add_node(g, g.parent ? groups[*g.parent] : 0));
        for (uint32_t i = 0; i < t.tenants->list.size(); i++) {
            const Tenant &tenant = t.tenants->list[i];
            const uint32_t node = add_node(tenant, tenant.parent ? groups[*tenant.parent] : 0);
            add_classes(t, compiled, transition, i, node);
        }
    }

  private:
    uint32_t add_node(const Share &share, uint32_t parent) {
        nodes.push_back({share, parent});
        return static_cast<uint32_t>(nodes.size() - 1);
    }

    void add_classes(const Transition &t, const CompiledTransition &compiled, uint32_t transition,
                     uint32_t tenant, uint32_t parent) {
        std::vector<uint32_t> groups;
        for (const auto &g : t.groups)
            groups.push_back(add_node(g, g.parent ? groups[*g.parent] : parent));
        for (uint32_t i = 0; i < t.classes.size(); i++) {
            const TrafficClass &c = t.classes[i];
            TreeNode &leaf = nodes[add_node(c, c.parent ? groups[*c.parent] : parent)];
            leaf.class_id = compiled.class_id(tenant, i);
            leaf.transition = transition;
            leaf.tenant = tenant;
            leaf.class_index = i;
        }
    }
};

} // namespace

std::vector<TreeNode> scheduling_tree(const CompiledPolicy &policy, uint32_t port) {
    Tree tree;
    for (uint32_t i = 0; i < policy.transitions.size(); i++)
        if (policy.transitions[i].to == port)
            tree.add(policy.source.transitions[i], policy.transitions[i], i);
    return std::move(tree.nodes);
}

} // namespace sluice
