// Policy -> CompiledPolicy: names become indices, matches become bitmaps and prefixes, shares become a tree,
// in the layout that the BPF programs and the phantom scheduler read. Pure; knows nothing of this host's
// interfaces.
#pragma once

#include <sluice/abi.h>

#include <string>
#include <vector>

#include "policy/policy.hpp"

namespace sluice {

// A leaf of the tree: traffic with one queue's worth of treatment. Each tenant has its own.
struct CompiledClass {
    std::string name;
    Aqm aqm;
    uint8_t remark = 0; // as sluice_class.remark
    bool mark = true;   // CE instead of a drop where the packet allows it
    uint16_t ways = 0;  // as sluice_class.ways
    uint16_t trim_bytes = 0;
    uint8_t trim_dscp = 0; // as sluice_class.trim_dscp
};

// Of the trie that all transitions share; the table in `key` is that of generation 0, transition 0.
struct CompiledPrefix {
    sluice_prefix_key key{};
    sluice_prefix value{};
};

struct CompiledTransition {
    std::vector<uint32_t> from; // indices of the ports that our program serves
    uint32_t to = 0;            // port index
    Forward forward = Forward::fib;
    // Class ids are first_class + tenant * classes.size() + class, before the generation's base.
    uint32_t first_class = 0;
    uint32_t tenants = 1;
    std::vector<CompiledClass> classes;
    std::vector<CompiledPrefix> prefixes;
    sluice_transition image{}; // class ids likewise

    uint32_t class_id(uint32_t tenant, uint32_t index) const {
        return first_class + tenant * static_cast<uint32_t>(classes.size()) + index;
    }
    uint32_t class_count() const { return tenants * static_cast<uint32_t>(classes.size()); }
};

struct CompiledPolicy {
    Policy source;
    std::vector<CompiledTransition> transitions; // same order as source.transitions
    uint32_t class_count = 0;

    // Port index -> its position in source.ports is the same number.
    const Port &port(uint32_t index) const { return source.ports[index]; }
};

// Does `t` take frames of every port that `other` takes frames of?
bool covers(const Transition &t, const Transition &other);

// Precondition: `policy` came out of the loader without errors.
CompiledPolicy compile(Policy policy);

// compile_rules.cpp: fills the matching part of t.image and t.prefixes. `ports` are the names of all ports.
void compile_rules(const Policy &policy, const Transition &from, CompiledTransition &t);

// A node of a port's scheduling tree. Parents come before their children; node 0 is the port itself.
struct TreeNode {
    static constexpr uint32_t no_class = ~0u;

    Share share;
    uint32_t parent = 0;
    uint32_t class_id = no_class;                         // of a leaf, before the generation's base
    uint32_t transition = 0, tenant = 0, class_index = 0; // of a leaf
};
std::vector<TreeNode> scheduling_tree(const CompiledPolicy &policy, uint32_t port);

} // namespace sluice
