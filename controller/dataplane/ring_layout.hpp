// Where this kernel keeps the fields that the ring readers walk (include/sluice/rings/table.h), found in the
// type information (BTF) of the kernel and of the drivers' modules. The programs get the offsets as
// constants.
#pragma once

#include <sluice/rings/table.h>

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.hpp"

struct btf;

namespace sluice {

// A row of SLUICE_RING_DRIVERS.
struct RingDriver {
    sluice_reader reader;
    std::string_view driver;  // as ethtool -i says
    std::string_view modules; // that hold its types, separated by blanks
    sluice_trust trust;
};
std::span<const RingDriver> ring_drivers();
const RingDriver *ring_driver(std::string_view driver); // null: no reader for it
const RingDriver *ring_driver(sluice_reader reader);

struct RingLayout {
    std::array<uint32_t, SLUICE_FIELDS> offset{}; // bytes, or SLUICE_NO_FIELD
    uint32_t readers = 0;                         // a bit (1 << reader) per driver whose fields are all there
};

// Enters the fields of one driver, searched in `types` (the kernel's, then its modules'). Fails, with the
// layout as it was, when a field that the reader needs is missing or has another width: the driver has
// changed.
Result<> add_driver(RingLayout &layout, const RingDriver &driver, std::span<const btf *const> types);

// Layout of the running kernel for these readers. A reader whose module or field is missing is left out, with
// the reason in `missing`.
struct MissingReader {
    sluice_reader reader;
    Error why;
};
struct RunningLayout {
    RingLayout layout;
    std::vector<MissingReader> missing;
    bool read_by_cast = false; // bpf_rdonly_cast() is there (6.2); else bpf_probe_read_kernel()
};
Result<RunningLayout> running_ring_layout(std::span<const sluice_reader> readers);

} // namespace sluice
