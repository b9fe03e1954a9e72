// BPF objects -> programs and maps in the kernel, with the constants of this host and policy. Fills and
// attaches nothing.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/fd.hpp"
#include "dataplane/maps.hpp"
#include "dataplane/wiring.hpp"
#include "policy/compile.hpp"

namespace sluice {

enum class Hook { tracepoint, devmap };

// Larger frames may come in several buffers, which a driver only gives to programs loaded as xdp.frags. Below
// every driver's own limit: one 4 KiB page less head- and tailroom.
inline constexpr uint32_t kLargestLinearMtu = 3000;

// One data path in the kernel, by its file descriptors: the egress programs, and the maps that all programs
// share.
struct Instance {
    std::map<std::string, Fd> maps; // by name
    Fd sampler;                     // SEC("syscall") sluice_sample
    Fd devmap_xmit, redirect_err;   // tp_btf programs
    Fd devmap_frame;                // none with Hook::tracepoint
    Fd slow_path;                   // tc; none without `spill`

    int map(const std::string &name) const;
};

// What the policy and the machine make of the maps. Classes per generation and flow buckets are powers of
// two, with room for a later policy that is somewhat larger.
struct MapSizes {
    uint32_t ports = 0, cpus = 0, classes = 0, flows = 0;
};
MapSizes map_sizes(const CompiledPolicy &policy, const Wiring &wiring);

// Ports that frames come from and that our programs serve, in the order of the policy.
std::vector<uint32_t> ingress_ports(const CompiledPolicy &policy);

// Some port has `spill`: the tc program is wanted.
bool has_spill(const CompiledPolicy &policy);

// Of everything that is constant while an instance lives: this build, the wiring, who forwards where, the
// ports' own queues and sockets. An instance serves every policy of the same identity whose classes fit its
// maps.
std::string identity(const CompiledPolicy &policy, const Wiring &wiring, Hook hook);

// Creates the maps and loads the egress programs for these ports. `slow_path`: with the tc program.
Result<Instance> load_egress(const Wiring &wiring, const MapSizes &sizes, Hook hook, bool slow_path);

// The maps of an instance as typed memory.
Result<Maps> map_arrays(const Instance &instance, uint32_t cpus);

// The program of such a port is xdp.frags.
bool takes_frags(const PortFacts &facts);

// Bit 1 << enum sluice_way for each that a class of that ingress port uses: a constant of its program.
uint32_t ways_of(const CompiledPolicy &policy, uint32_t port);

// Where the program of a fast port is called. At tc ingress it knows no ways of `when_full` but mark and
// drop.
enum class IngressHook { xdp, tc };

// The program of one fast port; it works on the maps of `instance`, and leaves its own among them.
Result<Fd> load_ingress(Instance &instance, const CompiledPolicy &policy, uint32_t port, const Wiring &wiring,
                        IngressHook hook);

} // namespace sluice
