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
#include "control/flow_table.hpp"
#include "control/phantom.hpp"
#include "control/snapshot.hpp"
#include "dataplane/dataplane.hpp"

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
    // The dataplane has flipped to `policy`: carry state and counters over. Any thread.
    Result<> apply(const CompiledPolicy &policy);
    // Any thread.
    Snapshot snapshot() const;

  private:
    struct ClassTotals {
        std::array<uint64_t, SLUICE_CLASS_OUTCOMES> outcomes{};
        std::array<uint64_t, SLUICE_WOULDS> would{};
        uint64_t admitted_bytes = 0;
    };
    // One class of the running generation.
    struct ClassRuntime {
        uint32_t id = 0; // with the generation's base
        uint32_t transition = 0, index = 0;
        uint64_t admitted_bytes = 0; // counter as of the last tick
        ClassTotals carried;         // of earlier generations
        AqmNow aqm;
        double rate_per_flow = 0;
        std::vector<uint64_t> finishes; // of the flows in use, as of this tick
    };
    // One egress port: its capacity and the classes that share it.
    struct PortRuntime {
        uint32_t port = 0;
        CapacityConfig config;
        CapacityState capacity;
        uint64_t refused = 0; // counter as of the last tick: marks and drops of the laws
        std::vector<PhantomClass> phantoms;
        std::vector<ClassRuntime> classes;
    };

    void build_ports();
    RingObservation observe_rings(uint32_t port);
    void tick_port(PortRuntime &port, uint64_t now_ns, double dt_s);
    Demand demand_of(PortRuntime &port) const;
    PhantomInput class_input(ClassRuntime &c);
    void adopt(ClassRuntime &c, PhantomClass &phantom, uint64_t now_ns);
    void publish(PortRuntime &port, size_t index, uint64_t now_ns);
    void publish_guard(PortRuntime &port);
    uint64_t period_ns() const;
    void fall_asleep(const std::stop_token &stop);
    ClassTotals totals(const ClassRuntime &c) const;
    const CompiledClass &config_of(const ClassRuntime &c) const;
    void carry_over(const std::vector<PortRuntime> &old, const CompiledPolicy &old_policy);
    ClassState class_state(const PortRuntime &port, size_t index) const;
    PortState port_state(uint32_t port) const;
    void fill_egress(PortState &state, const PortRuntime &port) const;

    Dataplane &dataplane_;
    CompiledPolicy policy_;
    WakeSignal &wake_;
    FlowTable flows_;
    std::vector<PortRuntime> ports_;
    mutable std::mutex mutex_; // everything above; a tick holds it for microseconds
    uint64_t last_tick_ns_ = 0;
    uint64_t last_busy_ns_ = 0;
    uint64_t ticks_ = 0;
    bool asleep_ = false;
};

} // namespace sluice
