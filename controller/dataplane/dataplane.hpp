// The only owner of libbpf: loads the programs, fills the maps, attaches egress before ingress; pins all of
// it, so that it outlives the process, and takes over what an earlier process pinned. Everything that the
// rest of the daemon knows of the kernel side goes through here.
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
        std::string pin_path;    // in a BPF file system; empty: everything ends with this object
    };

    // Adopts the pinned data path if it serves this policy's wiring, else loads the programs and fills the
    // maps; nothing is attached that was not.
    static Result<std::unique_ptr<Dataplane>> load(const CompiledPolicy &policy, const Options &options);
    virtual ~Dataplane() = default;

    // Egress first, then ingress: no frame is redirected to a port that is not watched. Where an earlier
    // daemon's programs are attached, they are exchanged without a gap, and its counters carried over.
    virtual Result<> attach() = 0;
    // Does the slow part of apply(): surveys the ports and, if the policy needs other programs or larger
    // maps, loads them. May be left out. Not at the same time as apply(), look() or follow().
    virtual Result<> prepare(const CompiledPolicy &) { return {}; }
    // Fills the other generation, then flips the index: no packet sees half a policy. If ports, forwarding or
    // interfaces are not what was loaded, exchanges the whole instance: then maps(), ports() and events_fd()
    // are others. Refused, with nothing changed, when the new programs cannot be loaded or attached.
    virtual Result<> apply(const CompiledPolicy &policy) = 0;
    // Looks at the ports' devices again; true: something is different, and follow() will act on it. Not at
    // the same time as apply() or follow().
    virtual Result<bool> look() { return false; }
    // Attaches to devices that came (back), takes those out of service that are gone, down, or cannot take
    // redirected frames, and brings ports() up to date.
    virtual Result<> follow() { return {}; }
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
    // How many instances this object has put in force; apply() may increase it.
    virtual uint64_t instances() const { return 1; }
    // The maps were in use before this object was made: flows and clocks in them count.
    virtual bool adopted() const { return false; }
    // What load() or apply() did, for the log.
    virtual std::string history() const { return {}; }
    // Class ids of the policy in force start here.
    uint32_t class_base() { return generation() * maps().class_rows(); }
};

} // namespace sluice
