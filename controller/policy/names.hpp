// The words of the policy file that stand for numbers or enumerators.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace sluice {

struct NamedNumber {
    std::string_view name;
    uint8_t number;
};

std::span<const NamedNumber> dscp_names();     // RFC 2474, 2597, 3246, 5865, 8622
std::span<const NamedNumber> protocol_names(); // IANA protocol numbers
bool protocol_has_ports(uint8_t protocol);

// Each in the order of the enumerators in policy.hpp: the index of a word is the value.
inline constexpr std::string_view forward_words[] = {"fib", "xconnect", "library"};
inline constexpr std::string_view xdp_words[] = {"auto", "native", "generic", "tc"};
inline constexpr std::string_view attach_words[] = {"direct", "dispatcher"};
inline constexpr std::string_view mode_words[] = {"enforce", "shadow"};
inline constexpr std::string_view loss_words[] = {"keep", "bypass"};
inline constexpr std::string_view isolate_words[] = {
    "flow", "srchost", "dsthost", "hosts", "dual-srchost", "dual-dsthost", "triple-isolate", "none"};
inline constexpr std::string_view tenant_key_words[] = {"src", "dst", "vlan"};
inline constexpr std::string_view verdict_words[] = {"mark", "spill", "reroute", "trim", "bounce", "drop"};

inline constexpr std::string_view law_words[] = {"codel", "pi2"};
inline constexpr std::string_view overhead_words[] = {"ethernet", "docsis", "ptm", "atm", "none"};
inline constexpr std::string_view spill_words[] = {"fq_codel", "pfifo"};
inline constexpr std::string_view default_class = "default";
inline constexpr std::string_view other_tenant = "other"; // who matches no tenant

// Sets of classes with CAKE's names, in the order of presets.cpp.
inline constexpr std::string_view preset_words[] = {"besteffort", "diffserv3", "diffserv4", "diffserv8"};

} // namespace sluice
