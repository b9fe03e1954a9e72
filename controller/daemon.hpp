// The daemon as an object: owns every part, runs the threads, reloads. main() only parses options and waits
// for signals.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "api/server.hpp"
#include "control/history.hpp"
#include "control/loop.hpp"
#include "dataplane/dataplane.hpp"
#include "dataplane/world_watch.hpp"
#include "operate/policy_control.hpp"
#include "telemetry/drops.hpp"
#include "telemetry/event_reader.hpp"

namespace sluice {

struct DaemonOptions {
    std::string policy_file;
    std::string state_dir;
    bool watch = false; // reload when the policy file changes
    ServerOptions server;
    Dataplane::Options dataplane;
};

class Daemon {
  public:
    explicit Daemon(DaemonOptions options);
    ~Daemon();
    Daemon(const Daemon &) = delete;
    Daemon &operator=(const Daemon &) = delete;

    // Loads the policy and the programs, starts everything, attaches last.
    Result<> start();
    // Pinned programs stay attached, others go. Safe to call twice.
    void stop();

    // Any thread. A file that is not good changes nothing.
    ReloadOutcome reload() { return policy_.reload(); }
    Snapshot snapshot();

  private:
    Handlers handlers();
    Result<> install(const CompiledPolicy &policy);
    void read_events();
    // Follows the devices; returns those to watch.
    WatchedDevices look_at_world();

    DaemonOptions options_;
    PolicyControl policy_;
    WakeSignal wake_;
    std::unique_ptr<Dataplane> dataplane_;
    std::unique_ptr<Loop> loop_;
    std::unique_ptr<EventReader> events_;
    std::unique_ptr<Drops> drops_;
    std::unique_ptr<History> history_;
    std::unique_ptr<Server> server_;
    std::unique_ptr<WorldWatch> world_;
    std::set<std::string> device_names_; // as the policy has them
    std::mutex maps_mutex_;              // a new policy and a new device are entered one after the other
    std::jthread loop_thread_, event_thread_, drops_thread_, history_thread_, trial_thread_, watch_thread_,
        world_thread_;
    std::atomic<bool> attached_ = false;
};

} // namespace sluice
