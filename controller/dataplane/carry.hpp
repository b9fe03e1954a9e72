// Counters outlive the generation and the instance that counted them: they follow the names of port, tenant
// and class into the row of earlier counts (Maps::count_rows).
#pragma once

#include "dataplane/maps.hpp"
#include "policy/compile.hpp"

namespace sluice {

// Never 0. Classes of one name on one port, from two transitions, are one class to those who count.
uint64_t class_hash(const CompiledPolicy &policy, uint32_t transition, uint32_t id);
uint32_t port_hash(const CompiledPolicy &policy, uint32_t port);
// Of all that a generation is filled with.
uint64_t policy_hash(const CompiledPolicy &policy);

// Sets the earlier counts of the generation at class id `to_base` to all that `from` has counted for classes
// of the same names in the generation at `from_base`. May be repeated: what is set is the sum, not added to.
void carry_classes(const Maps &from, uint32_t from_base, Maps &to, uint32_t to_base);

// Between instances: earlier counts of the ports likewise, and what is known of the links.
void carry_ports(const Maps &from, Maps &to);

// Between instances: what waits in the rings, with its stamps. Once, just before the programs are swapped;
// both pairs are of one contract.
struct RingMemory {
    Maps &maps;
    int stamps; // descriptor of sl_stamps
};
Result<> carry_rings(const RingMemory &from, const RingMemory &to);

} // namespace sluice
