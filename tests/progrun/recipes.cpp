#include "recipes.hpp"

#include "limits.hpp"

namespace sluice::progrun {
namespace {

sluice_transition &transition(World &w) {
    return w.maps().transitions[w.dataplane->generation() * SLUICE_MAX_TRANSITIONS];
}

// 20 ms behind a target of 5 ms, for longer than an interval.
void make_late(World &world, const Frame &frame) {
    sluice_flow &flow = world.flow_of(frame);
    world.set_lag(flow, 20'000);
    world.klass().codel = {5'000'000, 100'000'000};
    world.share().target_bytes = 5'000;
    flow.codel = {};
    flow.codel.first_above_ns = flow.codel.next_ns =
        monotonic_now_ns() - 10'000'000; // clocks are shared for a jiffy
    flow.codel.dropping = 1;
    flow.codel.count = 1;
}

void make_over_limit(World &w, const Frame &f) {
    w.set_lag(w.flow_of(f), 20'000);
    w.share().target_bytes = 5'000;
    set_limits(w.share(), 10'000, 10'000);
}

// Nobody takes frames out of the TAP, whose ring the hook reads: a second per byte. A veth drains itself.
void fill_ring(World &w, const Frame &f) {
    if (!w.tap[0]) {
        w.tx().empty_at_ns = monotonic_now_ns() + 10'000'000'000;
        return;
    }
    w.maps().ports[kWan].ns_per_byte = 1'000'000'000ull << 20;
    w.tx().tail = w.tx().head; // frames of test runs have a verdict, but never leave
    w.run_live(f, 2);
}

void empty_ring(World &w) {
    w.maps().ports[kWan].ns_per_byte = 0;
    while (w.tap[0] && w.read_tap())
        ;
}

Scene in_shadow(Scene s) {
    s.before = [before = s.before](World &w, const Frame &f) {
        transition(w).shadow = 1;
        before(w, f);
    };
    s.after = [](World &w) { transition(w).shadow = 0; };
    return s;
}

uint32_t expected_action(uint32_t outcome) {
    return outcome <= SLUICE_MARK ? kRedirect : outcome < SLUICE_CLASS_OUTCOMES ? kDrop : kPass;
}

Frame expected_bytes(Frame frame, uint32_t outcome, bool xconnect) {
    if (outcome <= SLUICE_MARK && !xconnect)
        route_hop(frame, kSinkMac, kSlowMac);
    if (outcome == SLUICE_MARK)
        set_ce(frame);
    return frame;
}

uint64_t wire_bytes(const Frame &frame) {
    return std::max<uint64_t>(frame.size() + 24, 84);
}

std::optional<Scene> class_scene(uint32_t verdict, const FrameSpec &spec) {
    Scene s{spec};
    switch (verdict) {
    case SLUICE_FORWARD:
        return s;
    case SLUICE_MARK:
        s.spec.tos = 2;
        s.before = make_late;
        return s;
    case SLUICE_DROP_CODEL:
        s.before = make_late;
        return s;
    case SLUICE_DROP_LIMIT:
        s.before = make_over_limit;
        return s;
    case SLUICE_DROP_RING:
        s.before = fill_ring;
        s.after = empty_ring;
        return s;
    case would(SLUICE_WOULD_MARK):
        return in_shadow(*class_scene(SLUICE_MARK, spec));
    case would(SLUICE_WOULD_CODEL):
        return in_shadow(*class_scene(SLUICE_DROP_CODEL, spec));
    case would(SLUICE_WOULD_LIMIT):
        return in_shadow(*class_scene(SLUICE_DROP_LIMIT, spec));
    default:
        return std::nullopt;
    }
}

Scene out_of_service(Scene s) {
    s.before = [](World &w, const Frame &) { w.delete_devmap_entry(kWan); };
    s.after = [](World &w) { w.restore_devmap_entry(kWan); };
    return s;
}

Scene bypassed(Scene s) {
    s.before = [](World &w, const Frame &) {
        transition(w).bypass_on_loss = 1;
        w.maps().control[0].heartbeat_ns = monotonic_now_ns() - 2 * SLUICE_LOSS_NS;
    };
    s.after = [](World &w) { transition(w).bypass_on_loss = 0; };
    return s;
}

std::optional<Scene> pass_scene(uint32_t outcome, const FrameSpec &spec) {
    Scene s{spec};
    switch (outcome) {
    case SLUICE_PASS_VLAN:
        s.before = [](World &w, const Frame &) { w.forget_vlans(); };
        s.after = [](World &w) { w.know_vlans(); };
        return s;
    case SLUICE_PASS_NON_IP:
    case SLUICE_PASS_PPPOE:
        return s;
    case SLUICE_PASS_MALFORMED:
        s.truncate_by = 10;
        return s;
    case SLUICE_PASS_MULTICAST:
        s.spec.dmac = {0x01, 0x80, 0xc2, 0, 0, 0x0e};
        return s;
    case SLUICE_PASS_OTHERHOST:
        s.spec.dmac = {2, 0, 0, 0, 9, 9};
        return s;
    case SLUICE_PASS_OPTIONS:
        s.spec.options = true;
        return s;
    case SLUICE_PASS_TTL:
        s.spec.ttl = 1;
        return s;
    case SLUICE_PASS_LOCAL:
        s.spec.dst = spec.family == 4 ? "10.1.0.1" : "fd01::1";
        return s;
    case SLUICE_PASS_NEIGHBOUR:
        s.spec.dst = spec.family == 4 ? "10.2.0.99" : "fd02::99";
        return s;
    case SLUICE_PASS_MTU:
        s.spec.payload = kSlowMtu;
        return s;
    case SLUICE_PASS_NOT_OURS:
        s.spec.dst = spec.family == 4 ? "10.3.0.2" : "fd03::2";
        return s;
    case SLUICE_PASS_OUT_OF_SERVICE:
        return out_of_service(s);
    case SLUICE_PASS_BYPASS:
        return bypassed(s);
    default:
        return std::nullopt;
    }
}

} // namespace

Frame Scene::frame() const {
    Frame f = build(spec);
    f.resize(f.size() - truncate_by);
    return f;
}

std::optional<Scene> scene(uint32_t verdict, const FrameSpec &spec) {
    const bool of_class = verdict < SLUICE_CLASS_OUTCOMES || is_would(verdict);
    return of_class ? class_scene(verdict, spec) : pass_scene(verdict, spec);
}

void play(World &world, uint32_t verdict, const Scene &s, bool xconnect) {
    const uint32_t outcome = outcome_of(verdict);
    const Frame frame = s.frame();
    world.reset();
    s.before(world, frame);
    const Totals before = world.totals();
    const Reply run = world.run(frame);
    const Totals after = world.totals();
    s.after(world);
    EXPECT_EQ(run.verdict, expected_action(outcome));
    EXPECT_EQ(run.out, expected_bytes(frame, outcome, xconnect));
    EXPECT_TRUE(outcome == SLUICE_PASS_MALFORMED || ipv4_checksum_right(run.out));
    EXPECT_EQ(after.received - before.received, 1u);
    EXPECT_EQ(after.received_bytes - before.received_bytes, frame.size());
    for (uint32_t o = 0; o < SLUICE_OUTCOMES; o++) {
        EXPECT_EQ(after.outcome[o] - before.outcome[o], o == outcome ? 1u : 0u) << "counter of outcome " << o;
        EXPECT_EQ(after.of_port[o] - before.of_port[o], o == outcome ? 1u : 0u) << "of the port " << o;
    }
    for (uint32_t w = 0; w < SLUICE_WOULDS; w++)
        EXPECT_EQ(after.would[w] - before.would[w], SLUICE_OUTCOMES + w == verdict ? 1u : 0u)
            << "would " << w;
    const uint64_t wire = wire_bytes(expected_bytes(frame, outcome, xconnect));
    const bool charged =
        outcome <= SLUICE_MARK && (!is_would(verdict) || verdict == would(SLUICE_WOULD_MARK));
    EXPECT_EQ(after.admitted_bytes - before.admitted_bytes, charged ? wire : 0);
}

void play_live(World &world, uint32_t verdict, const Scene &s, bool xconnect) {
    const Frame frame = s.frame();
    world.reset();
    s.before(world, frame);
    empty_ring(world);
    world.tx().tail = world.tx().head; // as in fill_ring()
    const sluice_tx before = world.tx();
    world.run_live(frame, 1);
    const sluice_tx after = world.tx();
    s.after(world);
    EXPECT_EQ(after.sent_packets - before.sent_packets, 1u);
    EXPECT_EQ(after.sent_bytes - before.sent_bytes,
              wire_bytes(expected_bytes(frame, SLUICE_FORWARD, xconnect)));
    for (uint32_t reason = 0; reason < SLUICE_KDROPS; reason++)
        EXPECT_EQ(after.drops[reason], before.drops[reason]) << "kernel drop " << reason;
    if (!world.tap[0])
        return;
    Frame left;
    const Frame expected = expected_bytes(frame, outcome_of(verdict), xconnect);
    while (world.read_tap(0, &left) && left != expected)
        ; // reports of the stack's own
    EXPECT_EQ(left, expected);
}

} // namespace sluice::progrun
