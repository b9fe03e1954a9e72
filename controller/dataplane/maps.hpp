// The shared maps as typed memory, and where their rows are.
#pragma once

#include <sluice/abi.h>

#include "dataplane/mapped_array.hpp"

namespace sluice {

struct Maps {
    MappedArray<sluice_control> control;
    MappedArray<sluice_port> ports;
    MappedArray<sluice_transition> transitions;
    MappedArray<sluice_class> classes;
    MappedArray<sluice_flow_set> flows;
    MappedArray<sluice_flow_info> flow_info;
    MappedArray<uint64_t> touched;
    MappedArray<sluice_class_count> class_counts;
    MappedArray<sluice_delays> delays;
    MappedArray<sluice_port_count> port_counts;
    MappedArray<sluice_tx> tx;
    MappedArray<sluice_ring> rings;
    uint32_t cpus = 1; // possible CPUs

    // Counters have a row per CPU, and one more, the number `cpus`: what earlier generations and instances
    // counted. Programs do not know of it.
    uint32_t count_rows() const { return cpus + 1; }
    // Classes that one generation can have.
    uint32_t class_rows() const { return static_cast<uint32_t>(classes.size() / 2); }
    size_t class_row(uint32_t class_id, uint32_t row) const {
        return row < cpus ? class_id * cpus + row : classes.size() * cpus + class_id;
    }
    size_t port_row(uint32_t port, uint32_t row) const {
        return row < cpus ? port * cpus + row : SLUICE_MAX_PORTS * cpus + port;
    }
    const sluice_class_count &class_count(uint32_t class_id, uint32_t row) const {
        return class_counts[class_row(class_id, row)];
    }
    const sluice_port_count &port_count(uint32_t port, uint32_t row) const {
        return port_counts[port_row(port, row)];
    }
    const sluice_tx &tx_of(uint32_t port, uint32_t row) const { return tx[port_row(port, row)]; }
    // Written by all CPUs together, so there is one row of each kind.
    size_t earlier_delays(uint32_t class_id) const { return classes.size() + class_id; }
    const sluice_ring &ring(uint32_t port, uint32_t index) const { return rings[port * cpus + index]; }
    sluice_flow &flow(uint32_t bucket) {
        return flows[bucket / SLUICE_FLOW_WAYS].way[bucket % SLUICE_FLOW_WAYS];
    }
};

} // namespace sluice
