#include "control/flow_table.hpp"

#include <algorithm>

namespace sluice {
namespace {
constexpr uint32_t kIdleTicks =
    20; // shorter would relist a flow per packet, longer would keep dead buckets busy
}

FlowTable::FlowTable() : classes_(2 * SLUICE_MAX_CLASSES) {}

void FlowTable::collect(Maps &maps) {
    sluice_touched &touched = maps.touched[0];
    for (uint32_t w = 0; w < SLUICE_FLOWS / 64; w++) {
        if (!__atomic_load_n(&touched.word[w], __ATOMIC_RELAXED))
            continue;
        uint64_t bits = __atomic_exchange_n(&touched.word[w], 0, __ATOMIC_ACQ_REL);
        for (; bits; bits &= bits - 1) {
            const uint32_t bucket = w * 64 + static_cast<uint32_t>(__builtin_ctzll(bits));
            const uint32_t class_id = maps.flow(bucket).class_id;
            if (class_id >= classes_.size())
                continue;
            auto &list = classes_[class_id];
            // A lost update of `listed` may announce a bucket twice.
            if (std::none_of(list.begin(), list.end(), [&](const Entry &e) { return e.bucket == bucket; }))
                list.push_back({bucket, 0});
        }
    }
}

void FlowTable::finishes(Maps &maps, uint32_t class_id, std::vector<uint64_t> &out) const {
    out.clear();
    for (const Entry &e : classes_[class_id])
        out.push_back(__atomic_load_n(&maps.flow(e.bucket).finish, __ATOMIC_RELAXED));
}

void FlowTable::forget_idle(Maps &maps, uint32_t class_id, uint64_t vt) {
    std::erase_if(classes_[class_id], [&](Entry &e) {
        sluice_flow &flow = maps.flow(e.bucket);
        const bool idle = static_cast<int64_t>(__atomic_load_n(&flow.finish, __ATOMIC_RELAXED) - vt) <= 0;
        e.idle_ticks = idle ? e.idle_ticks + 1 : 0;
        if (flow.class_id == class_id && e.idle_ticks < kIdleTicks)
            return false;
        __atomic_store_n(&flow.listed, uint8_t{0}, __ATOMIC_RELAXED);
        return true;
    });
}

} // namespace sluice
