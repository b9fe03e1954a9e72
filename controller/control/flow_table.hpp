// Which flow buckets are in use, by class: filled from the bitmap that ingress sets, emptied when a flow has
// had no phantom backlog for a while. Cost per tick follows the flows in use, not the size of the table.
#pragma once

#include <cstdint>
#include <vector>

#include "control/phantom.hpp"
#include "dataplane/maps.hpp"

namespace sluice {

// Who shares a class first: its flows, or the hosts of its flows (sluice_flow.host).
enum class HostKind : uint8_t { none, one, either_of_two };

class FlowTable {
  public:
    explicit FlowTable(const Maps &maps);

    // Maps of an earlier controller: its buckets of the classes [first, first + count) are listed from now
    // on, others are free.
    void adopt(Maps &maps, uint32_t first, uint32_t count);
    // Take over the buckets that became active since the last call.
    void collect(Maps &maps);
    // Classes that have flows in use. Ids with the generation's base.
    const std::vector<uint32_t> &classes() const { return active_; }
    // What lags() returned before is gone.
    void begin_lags();
    // The flows of `class_id` that are in use. With hosts, first sets how many busy flows each one's host
    // has. The result points into this object.
    FlowLags lags(Maps &maps, uint32_t class_id, HostKind hosts, uint64_t vt);
    // Flows of `class_id` whose frames go to the kernel's qdisc.
    uint32_t count_spilled(const Maps &maps, uint32_t class_id) const;
    // Forget flows of `class_id` that stayed at or below `vt`; ingress lists them again when they return.
    // Returns how many are left.
    size_t forget_idle(Maps &maps, uint32_t class_id, uint64_t vt);
    // Forget all flows of the classes [first, first + count), busy or not: their generation is over.
    void forget_classes(Maps &maps, uint32_t first, uint32_t count);
    // Drop the classes without flows from classes().
    void sweep();

    struct Entry {
        uint32_t bucket;
        uint32_t idle_ticks;
    };
    const std::vector<Entry> &flows(uint32_t class_id) const { return by_class_[class_id]; }

  private:
    void list(Maps &maps, uint32_t bucket);
    void unlist(Maps &maps, uint32_t bucket);
    void set_scales(Maps &maps, const std::vector<Entry> &list, HostKind hosts, uint64_t vt);

    std::vector<std::vector<Entry>> by_class_; // by class id
    std::vector<bool> listed_;                 // by bucket
    size_t listed_count_ = 0;
    std::vector<uint32_t> active_;
    std::vector<uint64_t> finishes_; // of all classes asked for in this tick
    std::vector<uint16_t> scales_;
    std::vector<uint32_t> hosts_, peers_; // scratch
};

} // namespace sluice
