// The daemon as an object: owns every part, runs the threads, reloads. main() only parses options and waits
// for signals.
#pragma once

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
#include "telemetry/drops.hpp"
#include "telemetry/event_reader.hpp"

namespace sluice {

struct DaemonOptions {
    std::string policy_file;
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
    // Detaches first; safe to call twice.
    void stop();

    // Any thread. A file that is not good changes nothing.
    ReloadOutcome reload();
    Snapshot snapshot();

  private:
    // Follows the devices; returns those to watch.
    WatchedDevices look_at_world();

    DaemonOptions options_;
    WakeSignal wake_;
    std::unique_ptr<Dataplane> dataplane_;
    std::unique_ptr<Loop> loop_;
    std::unique_ptr<EventReader> events_;
    std::unique_ptr<Drops> drops_;
    std::unique_ptr<History> history_;
    std::unique_ptr<Server> server_;
    std::unique_ptr<WorldWatch> world_;
    std::jthread loop_thread_, event_thread_, drops_thread_, history_thread_, world_thread_;
    std::mutex reload_mutex_; // one reload at a time; guards the figures below
    uint64_t generation_ = 1, reloads_ok_ = 0, reloads_failed_ = 0;
    std::set<std::string> device_names_; // as the policy has them
    bool attached_ = false;
    double last_reload_unix_s_ = 0;
    bool last_reload_ok_ = true;
};

} // namespace sluice
