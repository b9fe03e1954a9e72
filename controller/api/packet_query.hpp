// The query of /api/v1/explain -> the packet that it describes.
#pragma once

#include <map>
#include <string>

#include "core/result.hpp"
#include "policy/match.hpp"

namespace sluice {

// Names: src, dst, sport, dport, proto, dscp, vlan, pcp, length, in. Errors say which one, and what it takes.
Result<PacketKey> packet_key(const std::map<std::string, std::string> &query);

} // namespace sluice
