// One instance of the data path: everything in the kernel that serves one wiring of ports, by its file
// descriptors. Passive: who makes, swaps and removes instances is in dataplane.cpp and swap.cpp.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "dataplane/attachment.hpp"
#include "dataplane/load.hpp"
#include "dataplane/maps.hpp"
#include "dataplane/pause_sender.hpp"
#include "dataplane/slow_path.hpp"
#include "dataplane/spill_path.hpp"

namespace sluice {

// One fast port: its program, with its constants, and what keeps it attached.
struct IngressPort {
    uint32_t port = 0;                   // index in the policy
    uint32_t ifindex = 0;                // that it is attached to, or shall be
    IngressHook hook = IngressHook::xdp; // that `program` is for
    Fd program;
    Attachment at;
    bool stale = false; // the program's constants no longer hold
};

struct DataPath {
    std::filesystem::path pins; // empty: not pinned
    std::string identity;       // what it was loaded for; see identity()
    Wiring wiring;
    Instance instance;
    Maps maps; // empty: of another contract version
    std::vector<Fd> tracepoints;
    std::vector<IngressPort> ingress;
    std::map<uint32_t, Fd> pass_links; // by ifindex: slow ports whose driver wants a program
    std::vector<SlowPath> slow_paths;  // of ports with `spill`
    std::vector<uint32_t> qdiscs;      // ifindexes: theirs
    std::map<uint32_t, std::unique_ptr<SpillPath>> spills; // by port: what runs them, in this process
    std::map<uint32_t, PauseSender> pauses;                // by port

    std::vector<PortFacts> &ports() { return wiring.ports; }
    // Its counters can be read.
    bool has_counters() const { return maps.control.size() > 0; }
    // The process may end: everything stays in the kernel.
    void leave() {
        for (auto &path : slow_paths)
            path.leave();
        for (auto &[port, spill] : spills)
            spill->leave();
    }
};

} // namespace sluice
