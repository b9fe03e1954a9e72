// Which class a packet falls into, decided on the policy as it was written: what `explain` shows to people.
// The packet path decides by compiled bitmaps and a trie; tests/progrun/match_test.cpp holds the two
// together.
#pragma once

#include <optional>

#include "policy/policy.hpp"

namespace sluice {

// What rules can look at.
struct PacketKey {
    std::string in;                       // name of the ingress port
    int family = 4;                       // 4, 6, 0 = not IP
    std::array<uint8_t, 16> src{}, dst{}; // network order; IPv4 in the first 4 bytes
    uint8_t proto = 0, dscp = 0;
    bool has_ports = false; // false for fragments and for protocols without ports
    uint16_t sport = 0, dport = 0;
    std::optional<uint16_t> vlan; // id of the outermost tag
    uint8_t pcp = 0;              // of that tag
    uint16_t length = 0;          // bytes of the frame without VLAN tags and FCS
};

struct MatchResult {
    uint32_t class_index = 0; // into Transition::classes
    uint32_t tenant = 0;      // into Tenants::list, 0 where there are no tenants
    SourcePos pos;            // of the match that held, or of the class `default`, or of the transition
    bool by_default = false;  // no match held
};

MatchResult match(const Transition &transition, const PacketKey &key);

} // namespace sluice
