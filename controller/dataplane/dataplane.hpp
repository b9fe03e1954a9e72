// The only owner of libbpf: loads the programs, fills the maps, attaches egress before ingress, detaches.
// Everything that the rest of the daemon knows of the kernel side goes through here.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/result.hpp"
#include "dataplane/facts.hpp"
#include "dataplane/load.hpp"
#include "dataplane/maps.hpp"
#include "dataplane/spill_path.hpp"
#include "policy/compile.hpp"

namespace sluice {

class Dataplane {
  public:
    struct Options {
        Hook hook = Hook::tracepoint;
        uint32_t event_rate = 4; // verdict events per CPU and jiffy
    };

    // Loads the programs and fills the maps for `policy`; nothing is attached yet.
    static Result<std::unique_ptr<Dataplane>> load(const CompiledPolicy &policy, const Options &options);
    virtual ~Dataplane() = default;

    // Egress first, then ingress: no frame is redirected to a port that is not watched.
    virtual Result<> attach() = 0;
    // Fills the other generation, then flips the index: no packet sees half a policy. Refused, with nothing
    // changed, when ports or forwarding differ from what was loaded.
    virtual Result<> apply(const CompiledPolicy &policy) = 0;
    // Refresh sluice_ring.tick of the port's rings.
    virtual Result<> sample(uint32_t port) = 0;

    // The slow path of a port with `spill`, else nullptr.
    virtual SpillPath *spill(uint32_t) { return nullptr; }

    // Sends a PAUSE frame out of a port, see pause_sender.hpp.
    virtual Result<> pause(uint32_t, uint16_t) { return {}; }

    virtual Maps &maps() = 0;
    virtual const std::vector<PortFacts> &ports() const = 0;
    virtual int events_fd() const = 0; // of the ring buffer map
    virtual uint32_t generation() const = 0;
    virtual Hook hook() const = 0;
    // Class ids of the policy in force start here.
    uint32_t class_base() { return generation() * maps().class_rows(); }
};

} // namespace sluice
