// Checks that need more than one map of the file: names that must exist, transitions that contradict each
// other, rates that do not add up. `root` is only used for the places of the messages.
#pragma once

#include "policy/policy.hpp"
#include "policy/reader.hpp"

namespace sluice {

// check_ports.cpp: port names, devices, contradicting transitions.
void check_ports(Reader &r, const Node &root, const Policy &policy);

// check_rates.cpp: min and ceil against each other, against what is around them and against the port's rate.
void check_rates(Reader &r, const Policy &policy);

// check_ways_out.cpp: what `when_full` and `overflow` need of the rest of the policy.
void check_ways_out(Reader &r, const Node &root, const Policy &policy);

// The entry `key` of `map`, or the map itself when the key is not there.
const Node &entry_or_self(const Node &map, std::string_view key);

} // namespace sluice
