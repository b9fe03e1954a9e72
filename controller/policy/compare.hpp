// What changes from one policy to another, in the words of the policy file. Walks the two documents along the
// table of keys, so that a new key is compared as soon as it can be read.
#pragma once

#include <string>
#include <vector>

#include "policy/load.hpp"

namespace sluice {

struct PolicyChange {
    std::string object; // "port wan", "transition to wan, class voice"
    std::string key;    // "rate", "aqm.target"; empty: the object as a whole
    // As the file writes it, rates and durations in their canonical spelling; the default where the key is
    // not given; empty: was not there, or is not there any more.
    std::string before, after;
    bool programs = false; // takes other programs: constants of the loaded ones differ
};

// In the order of the files. Both must have been read without errors.
std::vector<PolicyChange> compare_policies(const PolicyBytes &before, const PolicyBytes &after);

// "port wan: rate 50mbit -> 25mbit", "transition to wan, class voice: added, match [{dscp: ef}]"
std::string to_string(const PolicyChange &change);

} // namespace sluice
