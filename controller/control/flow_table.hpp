// Which flow buckets are in use, by class: filled from the bitmap that ingress sets, emptied when a flow has
// had no phantom backlog for a while. Cost per tick follows the flows in use, not the size of the table.
#pragma once

#include <cstdint>
#include <vector>

#include "dataplane/maps.hpp"

namespace sluice {

class FlowTable {
  public:
    FlowTable();

    // Take over the buckets that became active since the last call.
    void collect(Maps &maps);
    // Finishes of the flows of `class_id` that are in use.
    void finishes(Maps &maps, uint32_t class_id, std::vector<uint64_t> &out) const;
    // Forget flows of `class_id` that stayed at or below `vt`; ingress lists them again when they return.
    void forget_idle(Maps &maps, uint32_t class_id, uint64_t vt);

  private:
    struct Entry {
        uint32_t bucket;
        uint32_t idle_ticks;
    };
    std::vector<std::vector<Entry>> classes_; // by class id
};

} // namespace sluice
