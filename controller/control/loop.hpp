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
    // The dataplane has flipped to `policy`: carry state and counters over. Any thread.
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
        uint64_t admitted_bytes = 0;
        std::array<uint64_t, SLUICE_DELAY_BUCKETS> delays{};
        uint64_t delay_sum_ns = 0;

        void add(const ClassTotals &other);
    };
    // One class of the running generation; of one tenant, where there are tenants.
    struct ClassRuntime {
        uint32_t id = 0; // with the generation's base
        uint32_t transition = 0, tenant = 0, index = 0;
        HostKind hosts = HostKind::none;
        bool active = false;         // has flows in use
        uint64_t admitted_bytes = 0; // counters as of the last tick: admitted ...
        uint64_t refused = 0;        // ... and marks and drops of the laws
        ClassTotals carried;         // of earlier generations
        AqmNow aqm;
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
    };
    struct ClassPlace {
        uint32_t port = ~0u, index = 0; // into ports_, and its classes
    };

    void build_ports();
    PortRuntime build_port(uint32_t port) const;
    void note_link(PortRuntime &port) const;
    RingObservation observe_rings(uint32_t port);
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
    void fall_asleep(const std::stop_token &stop);
    ClassTotals totals(const ClassRuntime &c) const;
    const CompiledClass &config_of(const ClassRuntime &c) const;
    void carry_over(const std::vector<PortRuntime> &old, const CompiledPolicy &old_policy);
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
    std::vector<ClassPlace> place_of_; // by class id
    mutable std::mutex mutex_;         // everything above; a tick holds it for microseconds
    uint64_t last_tick_ns_ = 0;
    uint64_t last_busy_ns_ = 0;
    double tick_cost_ns_ = 0; // smoothed, of this thread
    uint64_t ticks_ = 0;
    bool asleep_ = false;
};

} // namespace sluice
