#include "dataplane/load.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <random>
#include <type_traits>

#include "core/sha256.hpp"
#include "dataplane/kernel_support.hpp"
#include "dataplane/libbpf_log.hpp"
#include "egress.skel.h"
#include "ingress.skel.h"
#include "tc_ingress.skel.h"

namespace sluice {
namespace {

struct SkeletonDeleter {
    void operator()(egress *s) const { egress__destroy(s); }
    void operator()(ingress *s) const { ingress__destroy(s); }
    void operator()(tc_ingress *s) const { tc_ingress__destroy(s); }
};
using Egress = std::unique_ptr<egress, SkeletonDeleter>;
using Ingress = std::unique_ptr<ingress, SkeletonDeleter>;
using TcIngress = std::unique_ptr<tc_ingress, SkeletonDeleter>;

// Programs and daemon must speak of the same structures; a stale build directory is how they come apart.
Result<> check_abi(uint32_t version, const char *object) {
    if (version == SLUICE_ABI_VERSION)
        return {};
    return fail(std::string(object) + " BPF object has contract version " + std::to_string(version) +
                    ", this daemon speaks " + std::to_string(SLUICE_ABI_VERSION),
                "build both from the same tree");
}

// Which drivers' rings the programs can read, and how.
Result<> set_readers(egress &object, const RunningLayout &readers, Hook hook) {
    if (hook == Hook::devmap && !readers.read_by_cast)
        return fail("the devmap egress hook needs kernel 6.2 or later", "use --egress-hook tracepoint");
    std::copy(readers.layout.offset.begin(), readers.layout.offset.end(), object.rodata->ring_layout);
    object.rodata->ring_readers = readers.layout.readers;
    object.rodata->read_by_cast = readers.read_by_cast;
    return {};
}

// A descriptor of our own: the skeleton closes its own when it goes.
Fd own(int fd) {
    return Fd(fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0));
}

void size_maps(egress &object, const MapSizes &sizes) {
    const auto &m = object.maps;
    // One row per CPU, and one of earlier counts (Maps).
    const uint32_t cpus = sizes.cpus, rows = SLUICE_MAX_PORTS * cpus, counts = cpus + 1;
    bpf_map__set_max_entries(m.sl_clocks, cpus);
    bpf_map__set_max_entries(m.sl_classes, 2 * sizes.classes);
    bpf_map__set_max_entries(m.sl_class_counts, 2 * sizes.classes * counts);
    bpf_map__set_max_entries(m.sl_delays, 2 * 2 * sizes.classes);
    bpf_map__set_max_entries(m.sl_flows, sizes.flows / SLUICE_FLOW_WAYS);
    bpf_map__set_max_entries(m.sl_flow_info, sizes.flows);
    bpf_map__set_max_entries(m.sl_touched, sizes.flows / 64);
    bpf_map__set_max_entries(m.sl_port_counts, SLUICE_MAX_PORTS * counts);
    bpf_map__set_max_entries(m.sl_tx, SLUICE_MAX_PORTS * counts);
    bpf_map__set_max_entries(m.sl_rings, rows);
    bpf_map__set_max_entries(m.sl_stamps, sizes.ports * cpus);
}

void take_descriptors(Instance &instance, const egress &object) {
    bpf_map *map;
    bpf_object__for_each_map(map, object.obj) {
        if (!bpf_map__is_internal(map))
            instance.maps.emplace(bpf_map__name(map), own(bpf_map__fd(map)));
    }
    instance.sampler = own(bpf_program__fd(object.progs.sluice_sample));
    instance.devmap_xmit = own(bpf_program__fd(object.progs.sluice_devmap_xmit));
    instance.redirect_err = own(bpf_program__fd(object.progs.sluice_redirect_err));
    instance.devmap_frame = own(bpf_program__fd(object.progs.sluice_devmap_frame));
    instance.slow_path = own(bpf_program__fd(object.progs.sluice_slow_path));
}

uint32_t random_word() {
    static thread_local std::random_device device;
    return device();
}

void set_egress_list(sluice_ingress_config &config, const CompiledPolicy &policy, uint32_t port,
                     const std::vector<PortFacts> &facts) {
    for (uint32_t i = 0; i < policy.transitions.size(); i++) {
        const CompiledTransition &t = policy.transitions[i];
        if (std::find(t.from.begin(), t.from.end(), port) == t.from.end() ||
            config.egress_count == SLUICE_MAX_EGRESS)
            continue;
        const uint32_t n = config.egress_count++;
        config.egress_ifindex[n] = facts[t.to].dev.ifindex;
        config.egress_transition[n] = i;
        config.egress_port[n] = t.to;
        config.xconnect = t.forward == Forward::xconnect;
        config.loss_bypass |= t.image.bypass_on_loss;
        config.rules |= t.image.rule_count > 0 || t.image.tenant_classes > 0;
    }
}

// Without the seed.
sluice_ingress_config ingress_config(const CompiledPolicy &policy, uint32_t port, const Wiring &wiring) {
    const std::vector<PortFacts> &facts = wiring.ports;
    sluice_ingress_config config{};
    config.port = port;
    config.cpus = wiring.cpus;
    config.ports = static_cast<uint32_t>(facts.size());
    set_egress_list(config, policy, port, facts);
    config.ways = ways_of(policy, port);
    std::copy(facts[port].dev.mac.begin(), facts[port].dev.mac.end(), config.mac);
    config.check_mac = !config.xconnect;
    config.frags = takes_frags(facts[port]);
    config.rules = 1; // a later policy may bring rules; the program stays
    config.loss_bypass = 1;
    return config;
}

Result<> share_maps(const Instance &instance, bpf_object *object) {
    for (const auto &[name, fd] : instance.maps) {
        bpf_map *own_map = bpf_object__find_map_by_name(object, name.c_str());
        if (!own_map)
            continue;
        if (int err = bpf_map__reuse_fd(own_map, fd.get()))
            return fail_errno(err, "share map " + name);
    }
    return {};
}

// The programs behind the tail calls of one port. The kernel empties the map once nobody holds it by a
// descriptor or a pin.
Result<> connect_ways(Instance &instance, ingress &object, uint32_t port) {
    Fd map = own(bpf_map__fd(object.maps.sl_ways));
    const bpf_program *programs[] = {object.progs.sluice_ways_out, object.progs.sluice_detour};
    static_assert(std::size(programs) == SLUICE_REFUSAL_PROGRAMS);
    for (uint32_t i = 0; i < SLUICE_REFUSAL_PROGRAMS; i++) {
        const int fd = bpf_program__fd(programs[i]);
        if (int err = bpf_map_update_elem(map.get(), &i, &fd, BPF_ANY))
            return fail_errno(err, "enter the programs of `when_full` for " + std::to_string(port));
    }
    instance.maps.insert_or_assign("sl_ways_" + std::to_string(port), std::move(map));
    return {};
}

// A program can jump to one of its own kind only. The relay in a dispatcher replaces a function there, and
// such programs have neither an attach type nor the flag of frames in several buffers, which the dispatcher
// has for all.
constexpr bpf_attach_type kBehindRelay{};

// Refused by the verifier, or for want of a feature: another kernel would do.
tl::unexpected<Error> load_failure(int err, const std::string &operation, const LibbpfLog &log) {
    auto failure = fail_errno(err, operation, log.tail());
    if (err != -EPERM && err != -ENOMEM)
        failure.value().kind = ErrorKind::unsupported;
    return failure;
}

} // namespace

bool takes_frags(const PortFacts &facts) {
    return facts.dev.mtu > kLargestLinearMtu && facts.preflight.frags;
}

uint32_t ways_of(const CompiledPolicy &policy, uint32_t port) {
    uint32_t bits = 0;
    for (const auto &t : policy.transitions)
        if (std::find(t.from.begin(), t.from.end(), port) != t.from.end())
            for (const auto &c : t.classes)
                for (uint32_t ways = c.ways; ways; ways >>= SLUICE_WAY_BITS)
                    bits |= 1u << (ways & ((1u << SLUICE_WAY_BITS) - 1));
    return bits;
}

int Instance::map(const std::string &name) const {
    const auto found = maps.find(name);
    return found == maps.end() ? -1 : found->second.get();
}

MapSizes map_sizes(const CompiledPolicy &policy, const Wiring &wiring) {
    constexpr uint32_t kFewestClasses = 256, kFlowsPerClass = 16, kMostFlows = 1u << 18;
    MapSizes sizes;
    sizes.ports = static_cast<uint32_t>(policy.source.ports.size());
    sizes.cpus = wiring.cpus;
    sizes.classes = std::max(kFewestClasses, std::bit_ceil(policy.class_count));
    sizes.flows = std::clamp(std::bit_ceil(kFlowsPerClass * policy.class_count), uint32_t{SLUICE_LEAST_FLOWS},
                             kMostFlows);
    return sizes;
}

Result<Instance> load_egress(const Wiring &wiring, const MapSizes &sizes, Hook hook, bool slow_path) {
    const Egress object(egress__open());
    if (!object)
        return fail_errno(errno, "open the egress BPF object");
    if (auto r = check_abi(object->rodata->abi_version, "egress"); !r)
        return tl::unexpected(r.error());
    if (auto r = set_readers(*object, wiring.readers, hook); !r)
        return tl::unexpected(r.error());
    size_maps(*object, sizes);
    object->rodata->cpus = sizes.cpus;
    object->rodata->netns = wiring.netns;
    object->rodata->devmap_hook = hook == Hook::devmap;
    bpf_program__set_autoload(object->progs.sluice_devmap_frame, hook == Hook::devmap);
    bpf_program__set_autoload(object->progs.sluice_slow_path, slow_path);
    LibbpfLog log;
    if (int err = egress__load(object.get()))
        return load_failure(err, "load the egress programs", log);
    Instance instance;
    take_descriptors(instance, *object);
    return instance;
}

namespace {

// Of the BPF objects, instructions and types: another build is another identity.
std::string build_hash() {
    std::string text;
    for (const auto elf_bytes : {ingress__elf_bytes, tc_ingress__elf_bytes, egress__elf_bytes}) {
        size_t size = 0;
        const auto *bytes = static_cast<const char *>(elf_bytes(&size));
        text += sha256_hex({bytes, size});
    }
    return text;
}

template <class T> void append(std::string &text, const T &value) {
    static_assert(std::has_unique_object_representations_v<T>, "padding has no value");
    text.append(reinterpret_cast<const char *>(&value), sizeof(value));
}

} // namespace

std::vector<uint32_t> ingress_ports(const CompiledPolicy &policy) {
    std::vector<uint32_t> out;
    for (const auto &t : policy.transitions)
        out.insert(out.end(), t.from.begin(), t.from.end());
    std::sort(out.begin(), out.end());
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
}

bool has_spill(const CompiledPolicy &policy) {
    const auto &ports = policy.source.ports;
    return std::any_of(ports.begin(), ports.end(), [](const Port &p) { return p.spill.has_value(); });
}

std::string identity(const CompiledPolicy &policy, const Wiring &wiring, Hook hook) {
    static const std::string build = build_hash();
    std::string text = build + (hook == Hook::devmap ? "devmap" : "tracepoint");
    append(text, wiring.netns);
    append(text, wiring.cpus);
    append(text, wiring.readers.layout.offset);
    append(text, wiring.readers.layout.readers);
    for (uint32_t i = 0; i < wiring.ports.size(); i++) {
        const Port &port = policy.port(i);
        text += port.name;
        append(text, wiring.ports[i].dev.ifindex);
        append(text, static_cast<uint32_t>(wiring.ports[i].reader));
        append(text, port.spill ? static_cast<uint32_t>(port.spill->kind) : ~0u);
        append(text, port.spill ? port.spill->limit : 0);
        append(text, static_cast<uint32_t>(port.pause.has_value()));
        append(text, static_cast<uint32_t>(port.attach));
        append(text, static_cast<uint32_t>(port.xdp == XdpChoice::tc));
    }
    for (const uint32_t port : ingress_ports(policy)) {
        const sluice_ingress_config config = ingress_config(policy, port, wiring);
        text.append(reinterpret_cast<const char *>(&config), sizeof(config));
    }
    return sha256_hex(text);
}

Result<Maps> map_arrays(const Instance &instance, uint32_t cpus) {
    Maps maps;
    maps.cpus = cpus;
    auto take = [&](auto &array, const char *name) -> Result<> {
        auto mapped = std::remove_reference_t<decltype(array)>::map(instance.map(name), name);
        if (!mapped)
            return tl::unexpected(mapped.error());
        array = std::move(*mapped);
        return {};
    };
    auto taken = take(maps.control, "sl_control")
                     .and_then([&] { return take(maps.ports, "sl_ports"); })
                     .and_then([&] { return take(maps.transitions, "sl_transitions"); })
                     .and_then([&] { return take(maps.classes, "sl_classes"); })
                     .and_then([&] { return take(maps.flows, "sl_flows"); })
                     .and_then([&] { return take(maps.flow_info, "sl_flow_info"); })
                     .and_then([&] { return take(maps.touched, "sl_touched"); })
                     .and_then([&] { return take(maps.class_counts, "sl_class_counts"); })
                     .and_then([&] { return take(maps.delays, "sl_delays"); })
                     .and_then([&] { return take(maps.port_counts, "sl_port_counts"); })
                     .and_then([&] { return take(maps.tx, "sl_tx"); })
                     .and_then([&] { return take(maps.rings, "sl_rings"); });
    if (!taken)
        return tl::unexpected(taken.error());
    return maps;
}

namespace {

// Of either hook: its constants, with a seed, and its maps.
template <class Skeleton>
Result<> prepare(Skeleton &object, sluice_ingress_config config, const Instance &instance) {
    if (auto r = check_abi(object.rodata->abi_version, "ingress"); !r)
        return r;
    config.seed[0] = random_word();
    config.seed[1] = random_word();
    std::memcpy(&object.rodata->config, &config, sizeof(config));
    return share_maps(instance, object.obj);
}

Result<Fd> load_xdp_ingress(Instance &instance, const CompiledPolicy &policy, uint32_t port,
                            const Wiring &wiring) {
    const Ingress object(ingress__open());
    if (!object)
        return fail_errno(errno, "open the ingress BPF object");
    const sluice_ingress_config config = ingress_config(policy, port, wiring);
    bpf_program *program;
    bpf_object__for_each_program(program, object->obj) {
        if (policy.port(port).attach == AttachChoice::dispatcher)
            bpf_program__set_expected_attach_type(program, kBehindRelay);
        else if (config.frags)
            bpf_program__set_flags(program, BPF_F_XDP_HAS_FRAGS);
        bpf_program__set_autoload(program, config.ways || program == object->progs.sluice_ingress);
    }
    if (auto r = prepare(*object, config, instance); !r)
        return tl::unexpected(r.error());
    LibbpfLog log;
    if (int err = ingress__load(object.get()))
        return load_failure(err, "load the ingress program for " + wiring.ports[port].dev.name, log);
    if (auto r = config.ways ? connect_ways(instance, *object, port) : Result<>{}; !r)
        return tl::unexpected(r.error());
    return own(bpf_program__fd(object->progs.sluice_ingress));
}

Result<Fd> load_tc_ingress(const Instance &instance, const CompiledPolicy &policy, uint32_t port,
                           const Wiring &wiring) {
    if (!kernel_support().tcx)
        return fail("tc ingress for " + wiring.ports[port].dev.name + " needs Linux 6.6 or later (tcx)",
                    "make room for XDP");
    const TcIngress object(tc_ingress__open());
    if (!object)
        return fail_errno(errno, "open the tc ingress BPF object");
    sluice_ingress_config config = ingress_config(policy, port, wiring);
    config.ways = 0;
    if (auto r = prepare(*object, config, instance); !r)
        return tl::unexpected(r.error());
    LibbpfLog log;
    if (int err = tc_ingress__load(object.get()))
        return load_failure(err, "load the tc ingress program for " + wiring.ports[port].dev.name, log);
    return own(bpf_program__fd(object->progs.sluice_tc_ingress));
}

} // namespace

Result<Fd> load_ingress(Instance &instance, const CompiledPolicy &policy, uint32_t port, const Wiring &wiring,
                        IngressHook hook) {
    return hook == IngressHook::tc ? load_tc_ingress(instance, policy, port, wiring)
                                   : load_xdp_ingress(instance, policy, port, wiring);
}

} // namespace sluice
