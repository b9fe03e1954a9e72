#include "dataplane/driver_traits.hpp"

#include <algorithm>
#include <iterator>

namespace sluice {
namespace {

// From the drivers' sources, Linux 6.1 to 6.18, with pages of 4 KiB. wants_program: ndo_xdp_xmit() answers
// ENXIO without one (from 6.3 on the driver says so: XDP_ACT_NDO_XMIT comes and goes with the program).
constexpr DriverTraits kTraits[] = {
    {"veth", true, false, 3506, false}, // veth_xdp_set(): page - headroom 256 - Ethernet 14 - shared info 320
    {"tun", true, false, 0, false},     // says 10 Mbit/s unless told otherwise
    {"virtio_net", true, true, 3506, false}, // virtnet_xdp_set(), virtnet_xdp_xmit()
    {"ixgbe", true, true, 3050, true},      // ixgbe_xdp_setup(): buffer of 3 KiB - Ethernet, VLAN tag, FCS 22
    {"igb", true, true, 3046, true},        // igb_xdp_setup(): two VLAN tags
    {"igc", true, true, 1500, true},        // igc_xdp_set_prog(): ETH_DATA_LEN
    {"i40e", true, true, 3046, true},       // i40e_xdp_setup(): two VLAN tags
    {"ice", true, true, 3046, true},        // ice_xdp_setup_prog()
    {"mlx5_core", true, false, 3498, true}, // mlx5e_xdp_max_mtu(): page - shared info 320 - headroom 256 - 22
    {"ena", true, true, 3498, true},        // ENA_XDP_MAX_MTU
    {"bnxt_en", true, true, 0, true},       // bnxt_xdp_set()
    {"fec", true, true, 0, true},           // fec_enet_bpf()
};
constexpr DriverTraits kUnknown;

} // namespace

const DriverTraits &driver_traits(std::string_view driver) {
    const auto *row = std::find_if(std::begin(kTraits), std::end(kTraits),
                                   [&](const DriverTraits &t) { return t.driver == driver; });
    return row == std::end(kTraits) ? kUnknown : *row;
}

} // namespace sluice
