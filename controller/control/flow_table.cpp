#include "control/flow_table.hpp"

#include <algorithm>

namespace sluice {
namespace {

// Shorter would relist a flow per packet, longer would keep dead buckets busy.
constexpr uint32_t kIdleTicks = 20;

uint64_t finish_of(const sluice_flow &flow) {
    return __atomic_load_n(&flow.finish, __ATOMIC_RELAXED);
}

bool busy(const sluice_flow &flow, uint64_t vt) {
    return static_cast<int64_t>(finish_of(flow) - vt) > 0;
}

size_t count_of(const std::vector<uint32_t> &sorted, uint32_t host) {
    const auto [first, last] = std::equal_range(sorted.begin(), sorted.end(), host);
    return static_cast<size_t>(last - first);
}

// A flow that waits keeps its real bytes when their price in virtual time changes.
void set_scale(sluice_flow &flow, uint16_t scale, uint64_t vt) {
    const uint16_t old = std::max<uint16_t>(flow.scale, 1);
    if (old == scale)
        return;
    if (busy(flow, vt))
        __atomic_store_n(&flow.finish, vt + (finish_of(flow) - vt) * scale / old, __ATOMIC_RELAXED);
    __atomic_store_n(&flow.scale, scale, __ATOMIC_RELAXED);
}

} // namespace

FlowTable::FlowTable(const Maps &maps) : by_class_(maps.classes.size()), listed_(maps.touched.size() * 64) {}

void FlowTable::list(Maps &maps, uint32_t bucket) {
    const uint32_t class_id = maps.flow(bucket).class_id;
    // A lost update of `listed` may announce a bucket twice.
    if (class_id >= by_class_.size() || listed_[bucket])
        return;
    listed_[bucket] = true;
    listed_count_++;
    if (by_class_[class_id].empty())
        active_.push_back(class_id);
    by_class_[class_id].push_back({bucket, 0});
}

void FlowTable::adopt(Maps &maps, uint32_t first, uint32_t count) {
    for (uint32_t bucket = 0; bucket < listed_.size(); bucket++) {
        const sluice_flow &flow = maps.flow(bucket);
        if (!__atomic_load_n(&flow.listed, __ATOMIC_RELAXED))
            continue;
        if (flow.class_id >= first && flow.class_id < first + count)
            list(maps, bucket);
        else
            __atomic_store_n(&maps.flow(bucket).listed, uint8_t{0}, __ATOMIC_RELAXED);
    }
}

void FlowTable::unlist(Maps &maps, uint32_t bucket) {
    listed_[bucket] = false;
    listed_count_--;
    __atomic_store_n(&maps.flow(bucket).listed, uint8_t{0}, __ATOMIC_RELAXED);
}

void FlowTable::collect(Maps &maps) {
    for (uint32_t w = 0; w < maps.touched.size(); w++) {
        uint64_t &word = maps.touched[w];
        if (!__atomic_load_n(&word, __ATOMIC_RELAXED))
            continue;
        for (uint64_t bits = __atomic_exchange_n(&word, 0, __ATOMIC_ACQ_REL); bits; bits &= bits - 1)
            list(maps, w * 64 + static_cast<uint32_t>(__builtin_ctzll(bits)));
    }
}

// Hosts come before flows (tc-cake(8), dual-* and triple-isolate): each busy flow's bytes count as many times
// as its host has busy flows, so that hosts, not flows, get equal service.
void FlowTable::set_scales(Maps &maps, const std::vector<Entry> &list, HostKind hosts, uint64_t vt) {
    std::vector<uint32_t> &first = hosts_, &second = peers_;
    first.clear();
    second.clear();
    for (const Entry &e : list) {
        const sluice_flow &flow = maps.flow(e.bucket);
        if (!busy(flow, vt))
            continue;
        first.push_back(hosts == HostKind::one ? flow.host : flow.host >> 16);
        second.push_back(flow.host & 0xffff);
    }
    std::sort(first.begin(), first.end());
    std::sort(second.begin(), second.end());
    for (const Entry &e : list) {
        sluice_flow &flow = maps.flow(e.bucket);
        const size_t flows = hosts == HostKind::one ? count_of(first, flow.host)
                                                    : std::max(count_of(first, flow.host >> 16),
                                                               count_of(second, flow.host & 0xffff));
        set_scale(flow, static_cast<uint16_t>(std::clamp<size_t>(flows, 1, 0xffff)), vt);
    }
}

void FlowTable::begin_lags() {
    finishes_.clear();
    scales_.clear();
    // No more can be asked for: what lags() returns stays where it is.
    finishes_.reserve(listed_count_);
    scales_.reserve(listed_count_);
}

FlowLags FlowTable::lags(Maps &maps, uint32_t class_id, HostKind hosts, uint64_t vt) {
    const std::vector<Entry> &list = by_class_[class_id];
    const size_t first = finishes_.size(), first_scale = scales_.size();
    if (hosts != HostKind::none)
        set_scales(maps, list, hosts, vt);
    for (const Entry &e : list) {
        const sluice_flow &flow = maps.flow(e.bucket);
        finishes_.push_back(finish_of(flow));
        if (hosts != HostKind::none)
            scales_.push_back(flow.scale);
    }
    return {std::span(finishes_).subspan(first), std::span(scales_).subspan(first_scale)};
}

uint32_t FlowTable::count_spilled(const Maps &maps, uint32_t class_id) const {
    return static_cast<uint32_t>(
        std::count_if(by_class_[class_id].begin(), by_class_[class_id].end(), [&](const Entry &e) {
            const sluice_flow_set &set = maps.flows[e.bucket / SLUICE_FLOW_WAYS];
            return SLUICE_AWAY_WHERE(set.way[e.bucket % SLUICE_FLOW_WAYS].away) == SLUICE_AWAY_SPILL;
        }));
}

size_t FlowTable::forget_idle(Maps &maps, uint32_t class_id, uint64_t vt) {
    std::erase_if(by_class_[class_id], [&](Entry &e) {
        const sluice_flow &flow = maps.flow(e.bucket);
        e.idle_ticks = busy(flow, vt) ? 0 : e.idle_ticks + 1;
        if (flow.class_id == class_id && e.idle_ticks < kIdleTicks)
            return false;
        unlist(maps, e.bucket);
        return true;
    });
    return by_class_[class_id].size();
}

void FlowTable::forget_classes(Maps &maps, uint32_t first, uint32_t count) {
    for (uint32_t id = first; id < first + count && id < by_class_.size(); id++) {
        for (const Entry &e : by_class_[id])
            unlist(maps, e.bucket);
        by_class_[id].clear();
    }
    sweep();
}

void FlowTable::sweep() {
    std::erase_if(active_, [&](uint32_t id) { return by_class_[id].empty(); });
}

} // namespace sluice
