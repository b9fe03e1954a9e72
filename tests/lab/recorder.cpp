#include "recorder.hpp"

namespace lab {

namespace {

// Payload that moves the flow forward. What is below the highest sequence number seen is a retransmission of
// a frame lost before the link: it fills a hole that was counted when a later frame jumped over it.
uint32_t fresh_payload(Flow &flow, const frame_identity &id) {
    if (id.proto != 6)
        return id.payload;
    constexpr uint8_t syn = 2;
    const uint32_t end = id.seq + id.payload + ((id.tcp_flags & syn) ? 1 : 0);
    if (!flow.seq_known || (id.tcp_flags & syn)) {
        flow.seq_known = true;
        flow.next_seq = end;
        return id.payload;
    }
    const auto ahead = static_cast<int32_t>(end - flow.next_seq);
    if (ahead <= 0)
        return 0;
    flow.next_seq = end;
    return static_cast<uint32_t>(ahead);
}

} // namespace

uint32_t Recorder::flow_of(const frame_identity &id) {
    const uint64_t ports = static_cast<uint64_t>(id.sport) << 32 | static_cast<uint64_t>(id.dport) << 16 |
                           static_cast<uint64_t>(id.proto) << 8 | id.family;
    // ICMP and others have no ports: one flow per protocol.
    const bool has_ports = id.proto == 6 || id.proto == 17 || id.proto == 132;
    const uint64_t key = frame_mix(id.addresses, has_ports ? ports : ports & 0xffff);
    const auto [it, is_new] = index_.try_emplace(key, static_cast<uint32_t>(flows.size()));
    if (is_new) {
        auto &flow = flows.emplace_back(Flow{.proto = id.proto, .family = id.family});
        if (has_ports) {
            flow.sport = id.sport;
            flow.dport = id.dport;
        }
    }
    return it->second;
}

void Recorder::served(const frame_identity &id, uint32_t wire_bytes, uint64_t start_ns, uint64_t delay_ns) {
    const uint32_t flow = flow_of(id);
    const uint32_t fresh = fresh_payload(flows[flow], id);
    samples.push_back({start_ns, delay_ns, flow, wire_bytes, fresh});
    totals.last_start_ns = start_ns;
    if (delay_ns != never_ns)
        totals.last_delay_ns = delay_ns;
}

} // namespace lab
