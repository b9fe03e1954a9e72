#include "ring_disc.hpp"

#include "ns3/drop-tail-queue.h"
#include "ns3/object-factory.h"
#include "ns3/simulator.h"
#include "ns3/socket.h"

namespace sluice::sim {
namespace {

using ns3::Ptr;
using ns3::QueueDiscItem;

// The controller's clock has been running for a while when traffic begins.
uint64_t now_ns() {
    return 1'000'000'000ull + static_cast<uint64_t>(ns3::Simulator::Now().GetNanoSeconds());
}

const char *reason(uint32_t outcome) {
    switch (outcome) {
    case SLUICE_MARK:
        return "mark";
    case SLUICE_DROP_CODEL:
        return "drop_codel";
    case SLUICE_DROP_LIMIT:
        return "drop_limit";
    case SLUICE_DROP_RING:
        return "drop_ring";
    default:
        return "drop_other";
    }
}

} // namespace

NS_OBJECT_ENSURE_REGISTERED(RingDisc);

ns3::TypeId RingDisc::GetTypeId() {
    static ns3::TypeId id =
        ns3::TypeId("sluice::sim::RingDisc").SetParent<ns3::QueueDisc>().AddConstructor<RingDisc>();
    return id;
}

RingDisc::RingDisc() : QueueDisc(ns3::QueueDiscSizePolicy::SINGLE_INTERNAL_QUEUE) {}
RingDisc::~RingDisc() = default;

void RingDisc::configure(const PortConfig &config) {
    port_ = std::make_unique<SlowPort>(config);
    stalls_ = config.stalls;
    ns3::ObjectFactory queue("ns3::DropTailQueue<QueueDiscItem>");
    queue.Set("MaxSize", ns3::QueueSizeValue(ns3::QueueSize(ns3::QueueSizeUnit::PACKETS, config.ring)));
    AddInternalQueue(queue.Create<InternalQueue>());
    tick();
}

void RingDisc::tick() {
    port_->tick(now_ns());
    ticks_++;
    double next_s = (ns3::Simulator::Now() + ns3::NanoSeconds(port_->period_ns())).GetSeconds();
    for (const auto &[from_s, to_s] : stalls_)
        if (next_s >= from_s && next_s < to_s)
            next_s = to_s;
    ns3::Simulator::Schedule(ns3::Seconds(next_s) - ns3::Simulator::Now(), &RingDisc::tick, this);
}

bool RingDisc::DoEnqueue(Ptr<QueueDiscItem> item) {
    const uint32_t wire = item->GetSize() + kLinkHeader;
    uint8_t tos = 0;
    item->GetUint8Value(ns3::QueueItem::IP_DSFIELD, tos);
    const sim_frame frame{0, 0, item->Hash(), wire, (tos & 3) != 0, (tos & 3) == 1};
    const uint32_t outcome = port_->judge(frame, now_ns()).outcome;
    if (outcome > SLUICE_MARK) {
        DropBeforeEnqueue(item, reason(outcome));
        return false;
    }
    if (port_->full()) { // admitted, charged, and lost by the driver
        port_->lost_full();
        DropBeforeEnqueue(item, kRingFull);
        return false;
    }
    if (outcome == SLUICE_MARK)
        Mark(item, reason(outcome));
    GetInternalQueue(0)->Enqueue(item);
    port_->entered(wire, now_ns());
    return true;
}

Ptr<QueueDiscItem> RingDisc::DoDequeue() {
    Ptr<QueueDiscItem> item = GetInternalQueue(0)->Dequeue();
    if (item)
        port_->left();
    return item;
}

bool RingDisc::CheckConfig() {
    return port_ && GetNInternalQueues() == 1 && GetNQueueDiscClasses() == 0;
}

void RingDisc::InitializeParams() {}

} // namespace sluice::sim
