#include "telemetry/drops.hpp"

#include <algorithm>
#include <array>
#include <chrono>

#include <arpa/inet.h>

#include "control/names.hpp"
#include "core/clock.hpp"

namespace sluice {
namespace {

constexpr std::chrono::milliseconds kCollect{250};

std::string address_text(uint8_t family, const uint8_t *address) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (family != 4 && family != 6)
        return {};
    inet_ntop(family == 4 ? AF_INET : AF_INET6, address, text.data(), text.size());
    return text.data();
}

} // namespace

void DropNames::use(const CompiledPolicy &policy, uint32_t class_base) {
    ports_.clear();
    for (const auto &port : policy.source.ports)
        ports_.push_back(port.name);
    ranges_.erase(ranges_.lower_bound(class_base), ranges_.lower_bound(class_base + policy.class_count));
    for (size_t t = 0; t < policy.transitions.size(); t++) {
        const Transition &source = policy.source.transitions[t];
        Range range;
        range.count = policy.transitions[t].class_count();
        range.policy_file = policy.source.file;
        if (source.tenants)
            for (const auto &tenant : source.tenants->list)
                range.tenants.push_back(tenant.name);
        // The built-in class `default` has no line of its own: then the transition's.
        for (const auto &c : source.classes)
            range.classes.emplace_back(c.name, c.pos.line ? c.pos.line : source.pos.line);
        ranges_[class_base + policy.transitions[t].first_class] = std::move(range);
    }
}

void DropNames::name_class(DropRecord &r, uint32_t class_id) const {
    const auto next = ranges_.upper_bound(class_id);
    if (next == ranges_.begin())
        return;
    const auto &[first, range] = *std::prev(next);
    const uint32_t at = class_id - first;
    if (at >= range.count)
        return;
    const auto &[name, line] = range.classes[at % range.classes.size()];
    r.class_name = name;
    r.policy_line = line;
    r.policy_file = range.policy_file;
    if (!range.tenants.empty())
        r.tenant = range.tenants[at / range.classes.size()];
}

DropRecord DropNames::explain(const sluice_event &e, double offset_s) const {
    const auto port = [this](uint32_t index) { return index < ports_.size() ? ports_[index] : "?"; };
    DropRecord r;
    r.unix_s = static_cast<double>(e.time_ns) * 1e-9 + offset_s;
    r.reason = outcome_name(e.outcome);
    r.ingress_port = port(e.ingress_port);
    r.egress_port = port(e.egress_port);
    name_class(r, e.class_id);
    r.bucket = e.bucket;
    r.cpu = e.cpu;
    r.wire_bytes = e.length;
    r.frame_bytes = e.frame_length;
    r.delay_ns = e.delay_ns;
    r.ring_delay_ns = e.ring_delay_ns;
    r.ring = e.ring;
    r.ring_size = e.ring_size;
    r.ring_occupancy = e.ring_occupancy;
    r.ring_sojourn_ns = e.ring_sojourn_ns;
    r.family = e.family;
    r.src = address_text(e.family, e.src);
    r.dst = address_text(e.family, e.dst);
    r.sport = e.sport;
    r.dport = e.dport;
    r.proto = e.proto;
    r.dscp = e.dscp;
    r.ecn = e.ecn;
    r.frame.assign(e.frame, e.frame + std::min<size_t>(e.captured, sizeof(e.frame)));
    return r;
}

void DropStore::push(DropRecord record) {
    record.seq = next_++;
    records_.push_back(std::move(record));
    if (records_.size() > capacity_)
        records_.pop_front();
}

DropPage DropStore::page(uint64_t since, size_t limit) const {
    DropPage page;
    const uint64_t oldest = next_ - records_.size();
    uint64_t seq = std::clamp(since, oldest, next_);
    page.missed = since && since < oldest ? oldest - since : 0;
    for (; seq < next_ && page.events.size() < limit; seq++)
        page.events.push_back(records_[seq - oldest]);
    page.next = seq;
    return page;
}

void Drops::use(const CompiledPolicy &policy, uint32_t class_base) {
    std::lock_guard lock(mutex_);
    collect(); // under the names that were in force until now
    names_.use(policy, class_base);
}

DropPage Drops::page(uint64_t since, size_t limit) {
    std::lock_guard lock(mutex_);
    collect();
    return store_.page(since, limit);
}

void Drops::run(const std::stop_token &stop) {
    std::unique_lock lock(mutex_);
    while (!stop.stop_requested()) {
        collect();
        stopped_.wait_for(lock, stop, kCollect, [] { return false; });
    }
}

void Drops::collect() {
    sluice_event event;
    const double offset_s = unix_seconds() - static_cast<double>(monotonic_ns()) * 1e-9;
    while (events_.pop(event))
        store_.push(names_.explain(event, offset_s));
}

} // namespace sluice
