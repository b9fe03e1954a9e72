// What stands on the fast veth during a measurement: a bare program, or sluice as the daemon loads and runs
// it.
#pragma once

#include <memory>
#include <string>
#include <thread>

#include "control/loop.hpp"
#include "core/fd.hpp"
#include "dataplane/dataplane.hpp"
#include "telemetry/event_reader.hpp"

namespace sluice::bench {

struct SluiceSetup {
    Forward forward = Forward::fib;
    Hook hook = Hook::tracepoint;
    std::string rate = "100gbit"; // of the slow port: nothing waits unless it is less than what arrives
};

// The state of the flow whose frames a plain test run repeats.
enum class FlowState { idle, above_target, above_limit };

class SluiceSession {
  public:
    // `loop_cpu`: where the control loop and the event reader run, not where frames are measured.
    static Result<std::unique_ptr<SluiceSession>> open(const SluiceSetup &setup, int loop_cpu);

    int ingress_fd() const { return ingress_.get(); }
    Dataplane &dataplane() { return *dataplane_; }
    // What became of the frames so far, for messages.
    std::string counts() const;
    // Stops the control loop and holds the classes in one state.
    void freeze(FlowState state);

  private:
    Result<> start(const SluiceSetup &setup, int loop_cpu);

    std::unique_ptr<Dataplane> dataplane_;
    WakeSignal wake_;
    std::unique_ptr<Loop> loop_;
    std::unique_ptr<EventReader> events_;
    Fd ingress_;
    std::jthread event_thread_, loop_thread_;
};

// Attaches a program to an interface; detached when the result goes away.
Result<Fd> attach_xdp(int program_fd, uint32_t ifindex);

} // namespace sluice::bench
