// The one place that closes the feedback: reads the maps, runs the step functions, publishes shares. Ticks
// while traffic flows, sleeps when nothing does.
#pragma once

#include <array>
#include <condition_variable>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "control/auto_aqm.hpp"
#include "control/capacity.hpp"
#include "control/explanation.hpp"
#include "control/flow_table.hpp"
#include "control/pause.hpp"
#include "control/phantom.hpp"
#include "control/share_tree.hpp"
#include "control/snapshot.hpp"
#include "dataplane/dataplane.hpp"
#include "policy/match.hpp"

namespace sluice {

// Lets the event reader wake the loop.
class WakeSignal {
  public:
    void raise();
    // Returns when raised or after `timeout_ns`.
    void wait(uint64_t timeout_ns, const std::stop_token &stop);

  private:
    std::mutex mutex_;
    std::condition_variable_any changed_;
    bool raised_ = false;
};

class Loop {
  public:
    Loop(Dataplane &dataplane, CompiledPolicy policy, WakeSignal &wake);

    void run(const std::stop_token &stop);
    // One tick at `now_ns`. Public for tests, which step the clock.
    void tick(uint64_t now_ns);
    // From one tick to the next while traffic flows.
    uint64_t period_ns() const;
    // As dataplane.attach(); the API reads what it finds out about the ports.
    Result<> attach();
    // Has the dataplane go over to `policy`, and carries over what is known of the links. Any thread.
    Result<> apply(const CompiledPolicy &policy);
    // The world has moved: acts on what dataplane.look() saw. Any thread.
    Result<> follow();
    // Any thread.
    Snapshot snapshot() const;
    // What would happen to a packet, once for each way it may take (key.in empty: from any port). Any thread.
    std::vector<Explanation> explain(const PacketKey &key) const;

  private:
    struct ClassTotals {
        std::array<uint64_t, SLUICE_CLASS_OUTCOMES> outcomes{};
        std::array<uint64_t, SLUICE_WOULDS> would{};
        uint64_t admitted_bytes = 0, taken_over = 0;
        std::array<uint64_t, SLUICE_DELAY_BUCKETS> delays{};
        uint64_t delay_sum_ns = 0;

        void add(const ClassTotals &other);
        uint64_t admitted_frames() const;
    };
    // One class of the running generation; of one tenant, where there are tenants.
    struct ClassRuntime {
        uint32_t id = 0; // with the generation's base
        uint32_t transition = 0, tenant = 0, index = 0;
        HostKind hosts = HostKind::none;
        bool active = false;         // has flows in use
        uint64_t admitted_bytes = 0; // counters as of the last tick: admitted ...
        uint64_t refused = 0;        // ... and marks and drops of the laws
        AqmNow aqm;
    };
    // The kernel's frames beside ours, at a port with `spill`.
    struct SlowFlow {
        uint64_t packets = 0, bytes = 0, sent_bytes = 0; // counters as of the last tick; sent_bytes: of ours
        uint64_t seen_ns = 0;                            // when the kernel last sent one
        double frame_bytes = 0, fast_bytes_per_s = 0;    // smoothed
    };
    // One egress port: its capacity and the classes that share it.
    struct PortRuntime {
        uint32_t port = 0;
        CapacityConfig config;
        CapacityState capacity;
        ShareTree tree{{ShareTree::Node{}}};
        std::vector<PhantomClass> phantoms; // one per class
        std::vector<ClassRuntime> classes;
        std::vector<PhantomInput> inputs; // of the classes with flows in use, this tick's
        bool refused = false;             // any of them since the last tick
        uint32_t next_idle = 0;           // whose share is refreshed next
        SlowFlow slow;
    };
    // A port with `pause`, and what its neighbour was told.
    struct PauseRuntime {
        uint32_t port = 0;
        Pause policy;
        PauseLink link;
        std::vector<uint32_t> leads_to; // ports
        PauseState state;
        uint64_t frames = 0; // counter
        std::string trouble; // why the last one was not sent; empty when it was
    };
    struct ClassPlace {
        uint32_t port = ~0u, index = 0; // into ports_, and its classes
    };

    void build_ports();
    PortRuntime build_port(uint32_t port) const;
    void note_link(PortRuntime &port) const;
    RingObservation observe_rings(uint32_t port);
    // loop_spill.cpp
    void observe_slow_path(PortRuntime &port, RingObservation &ring, uint64_t now_ns, double dt_s);
    // loop_pause.cpp
    void build_pauses();
    uint64_t longest_delay_ns(const PauseRuntime &pause) const;
    void tick_pauses(uint64_t now_ns);
    void fill_pause(PortState &state, uint32_t port) const;
    void fill_slow_path(PortState &state, uint32_t port) const;
    void pace_spill(PortRuntime &port, uint64_t now_ns);
    double spilled_share(const PortRuntime &port, uint32_t &flows) const;
    void gather(uint64_t now_ns, bool late);
    void gather_class(PortRuntime &port, uint32_t index, uint64_t now_ns, bool late);
    uint64_t ingress_vt(const ClassRuntime &c, uint64_t now_ns);
    void tick_port(PortRuntime &port, uint64_t now_ns, double dt_s);
    Demand demand_of(const PortRuntime &port) const;
    void put_to_rest(PortRuntime &port, uint32_t index, uint64_t now_ns);
    void refresh_idle(PortRuntime &port, uint64_t now_ns);
    void publish(PortRuntime &port, uint32_t index, uint64_t now_ns);
    void publish_law(const ClassRuntime &c);
    void publish_guard(PortRuntime &port);
    static double guard_limit_s(const PortRuntime &port);
    uint64_t period_now_ns() const; // mutex_ is held
    void ask_for_wake_up();
    bool woken();
    void fall_asleep(const std::stop_token &stop);
    ClassTotals totals(const ClassRuntime &c) const;
    const CompiledClass &config_of(const ClassRuntime &c) const;
    void carry_over(const std::vector<PortRuntime> &old, const CompiledPolicy &old_policy, bool same_maps);
    const std::string &tenant_name(const CompiledPolicy &policy, const ClassRuntime &c) const;
    ClassState class_state(const PortRuntime &port, uint32_t first, const ClassTotals &sum) const;
    void fill_classes(PortState &state, const PortRuntime &port) const;
    static void add_tenant(TenantState &tenant, const PhantomClass &phantom, const ClassTotals &sum);
    PortState port_state(uint32_t port) const;
    void fill_flows(PortState &state, const PortRuntime &port, uint64_t now_ns) const;
    FlowState flow_state(const ClassRuntime &c, uint32_t bucket, uint64_t backlog, uint64_t delay_ns) const;
    Explanation explain_in(const PortRuntime &port, uint32_t transition, const PacketKey &key) const;
    void fill_egress(PortState &state, const PortRuntime &port) const;

    Dataplane &dataplane_;
    CompiledPolicy policy_;
    WakeSignal &wake_;
    FlowTable flows_;
    std::vector<PortRuntime> ports_;
    std::vector<PauseRuntime> pauses_;
    std::vector<ClassPlace> place_of_; // by class id
    mutable std::mutex mutex_;         // everything above; a tick holds it for microseconds
    uint64_t last_tick_ns_ = 0;
    uint64_t last_busy_ns_ = 0;
    double tick_cost_ns_ = 0; // smoothed, of this thread
    uint64_t ticks_ = 0;
    bool asleep_ = false;
};

} // namespace sluice
