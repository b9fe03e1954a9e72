#include "control/names.hpp"

#include <array>

namespace sluice {
namespace {

constexpr std::array<std::string_view, SLUICE_OUTCOMES> kOutcomes{
    "forward",        "mark",           "drop_codel",     "drop_limit",   "drop_ring",          "spill",
    "reroute",        "trim",           "bounce",         "pass_non_ip",  "pass_malformed",     "pass_vlan",
    "pass_pppoe",     "pass_multicast", "pass_otherhost", "pass_options", "pass_ttl",           "pass_local",
    "pass_neighbour", "pass_mtu",       "pass_not_ours",  "pass_bypass",  "pass_out_of_service"};
constexpr std::array<std::string_view, SLUICE_WOULDS> kWoulds{
    "would_mark",    "would_drop_codel", "would_drop_limit", "would_spill",
    "would_reroute", "would_trim",       "would_bounce"};
constexpr std::array<std::string_view, SLUICE_KDROPS> kKernelDrops{"ring_full", "xmit_error",  "too_big",
                                                                   "no_device", "unsupported", "no_space"};
constexpr std::array<std::string_view, SLUICE_READERS> kReaders{"none",
#define ROW(id, function, driver, modules, trust) driver,
                                                                SLUICE_RING_DRIVERS(ROW)
#undef ROW
};

constexpr std::array<std::string_view, SLUICE_TRUSTS> kTrusts{"none", "low", "moderated", "exact"};

template <size_t N> std::string_view at(const std::array<std::string_view, N> &names, unsigned i) {
    static_assert(N > 0);
    return i < N ? names[i] : "unknown";
}

} // namespace

std::string_view outcome_name(unsigned outcome) {
    return at(kOutcomes, outcome);
}
std::string_view would_name(unsigned would) {
    return at(kWoulds, would);
}
std::string_view kernel_drop_name(unsigned kernel_drop) {
    return at(kKernelDrops, kernel_drop);
}
std::string_view reader_name(unsigned reader) {
    return at(kReaders, reader);
}
std::string_view trust_name(unsigned trust) {
    return at(kTrusts, trust);
}

} // namespace sluice
