// The values of match criteria: DSCP, protocol, address prefix, port range.
#pragma once

#include <vector>

#include "policy/names.hpp"
#include "policy/policy.hpp"
#include "policy/reader.hpp"

namespace sluice {

// A name or a number up to `most`, or a list of them. Never empty unless something was reported.
std::vector<uint8_t> read_numbers(Reader &r, const Node &node, std::string_view what,
                                  std::span<const NamedNumber> names, uint8_t most);

// "203.0.113.0/24", "2001:db8::/32"; an address alone is a single host.
std::optional<Prefix> read_prefix(Reader &r, const Node &node);
std::vector<Prefix> read_prefixes(Reader &r, const Node &node);

// "443", "1000-2000"; `what` names the thing in messages: "a port".
std::optional<PortRange> read_range(Reader &r, const Node &node, std::string_view what, uint16_t most);

} // namespace sluice
