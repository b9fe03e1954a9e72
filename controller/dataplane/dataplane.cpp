#include "dataplane/dataplane.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <linux/if_link.h>
#include <random>
#include <sys/stat.h>

#include "core/fd.hpp"
#include "dataplane/libbpf_log.hpp"
#include "egress.skel.h"
#include "ingress.skel.h"

namespace sluice {
namespace {

// Larger frames may come in several buffers, which a driver only gives to programs loaded as xdp.frags. Below
// every driver's own limit: one 4 KiB page less head- and tailroom.
constexpr uint32_t kLargestLinearMtu = 3000;

struct ReaderRow {
    const char *driver; // as ethtool -i says
    sluice_reader reader;
};
constexpr ReaderRow kReaders[] = {
    {"tun", SLUICE_READER_TUN},
    {"veth", SLUICE_READER_VETH},
    {"virtio_net", SLUICE_READER_VIRTIO},
};

sluice_reader reader_for(const std::string &driver) {
    for (const auto &row : kReaders)
        if (driver == row.driver)
            return row.reader;
    return SLUICE_READER_NONE;
}

struct SkeletonDeleter {
    void operator()(egress *s) const { egress__destroy(s); }
    void operator()(ingress *s) const { ingress__destroy(s); }
};
struct LinkDeleter {
    void operator()(bpf_link *l) const { bpf_link__destroy(l); }
};
using Egress = std::unique_ptr<egress, SkeletonDeleter>;
using Ingress = std::unique_ptr<ingress, SkeletonDeleter>;
using Link = std::unique_ptr<bpf_link, LinkDeleter>;

// One fast port: its program, with its constants, and what keeps it attached.
struct IngressPort {
    uint32_t port = 0;
    Ingress program;
    Fd link; // detaches when closed
};

// Ports that frames may be redirected to, or that they come from, in the order of the policy.
std::vector<uint32_t> ingress_ports(const CompiledPolicy &policy) {
    std::vector<uint32_t> out;
    for (const auto &t : policy.transitions)
        out.insert(out.end(), t.from.begin(), t.from.end());
    std::sort(out.begin(), out.end());
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
}

class LoadedDataplane final : public Dataplane {
  public:
    explicit LoadedDataplane(const Options &options) : options_(options) {}

    Result<> open(const CompiledPolicy &policy);
    Result<> attach() override;
    Result<> apply(const CompiledPolicy &policy) override;
    Result<> sample(uint32_t port) override;
    Maps &maps() override { return maps_; }
    const std::vector<PortFacts> &ports() const override { return facts_; }
    int events_fd() const override { return bpf_map__fd(egress_->maps.sl_events); }
    uint32_t generation() const override { return maps_.control[0].generation; }
    Hook hook() const override { return options_.hook; }

  private:
    Result<> query_ports(const CompiledPolicy &policy);
    Result<> load_egress();
    Result<> map_arrays();
    Result<> load_ingress(const CompiledPolicy &policy, uint32_t port);
    Result<> attach_tracepoints();
    Result<> attach_ingress(IngressPort &in);
    Result<> fill_devmap(const CompiledPolicy &policy);
    void fill_ports(const CompiledPolicy &policy);
    void fill_generation(const CompiledPolicy &policy, uint32_t generation);

    Options options_;
    CompiledPolicy loaded_;
    std::vector<PortFacts> facts_;
    Maps maps_;
    Egress egress_;
    std::vector<Link> tracepoints_;
    std::vector<IngressPort> ingress_;
};

Result<> LoadedDataplane::query_ports(const CompiledPolicy &policy) {
    for (const auto &port : policy.source.ports) {
        auto dev = query_netdev(port.device);
        if (!dev)
            return fail("port " + port.name + ": " + dev.error().what, dev.error().cure);
        PortFacts facts;
        facts.dev = *dev;
        facts.reader = reader_for(dev->driver);
        facts_.push_back(facts);
    }
    return {};
}

// Programs and daemon must speak of the same structures; a stale build directory is how they come apart.
Result<> check_abi(uint32_t version, const char *object) {
    if (version == SLUICE_ABI_VERSION)
        return {};
    return fail(std::string(object) + " BPF object has contract version " + std::to_string(version) +
                    ", this daemon speaks " + std::to_string(SLUICE_ABI_VERSION),
                "build both from the same tree");
}

Result<> LoadedDataplane::load_egress() {
    egress_.reset(egress__open());
    if (!egress_)
        return fail_errno(errno, "open the egress BPF object");
    if (auto r = check_abi(egress_->rodata->abi_version, "egress"); !r)
        return r;
    const auto &m = egress_->maps;
    const uint32_t cpus = maps_.cpus, rows = SLUICE_MAX_PORTS * cpus;
    bpf_map__set_max_entries(m.sl_clocks, cpus);
    bpf_map__set_max_entries(m.sl_class_counts, 2 * SLUICE_MAX_CLASSES * cpus);
    bpf_map__set_max_entries(m.sl_port_counts, rows);
    bpf_map__set_max_entries(m.sl_tx, rows);
    bpf_map__set_max_entries(m.sl_rings, rows);
    bpf_map__set_max_entries(m.sl_stamps, static_cast<uint32_t>(facts_.size()) * cpus);
    egress_->rodata->cpus = cpus;
    struct stat netns {};
    if (stat("/proc/self/ns/net", &netns) != 0)
        return fail_errno(errno, "stat /proc/self/ns/net", "mount /proc");
    egress_->rodata->netns = static_cast<uint32_t>(netns.st_ino);
    egress_->rodata->devmap_hook = options_.hook == Hook::devmap;
    bpf_program__set_autoload(egress_->progs.sluice_devmap_frame, options_.hook == Hook::devmap);
    return {};
}

Result<> LoadedDataplane::map_arrays() {
    const auto &m = egress_->maps;
    auto take = [](auto &array, const bpf_map *map) -> Result<> {
        auto mapped = std::remove_reference_t<decltype(array)>::map(map);
        if (!mapped)
            return tl::unexpected(mapped.error());
        array = std::move(*mapped);
        return {};
    };
    return take(maps_.control, m.sl_control)
        .and_then([&] { return take(maps_.ports, m.sl_ports); })
        .and_then([&] { return take(maps_.transitions, m.sl_transitions); })
        .and_then([&] { return take(maps_.classes, m.sl_classes); })
        .and_then([&] { return take(maps_.flows, m.sl_flows); })
        .and_then([&] { return take(maps_.touched, m.sl_touched); })
        .and_then([&] { return take(maps_.class_counts, m.sl_class_counts); })
        .and_then([&] { return take(maps_.port_counts, m.sl_port_counts); })
        .and_then([&] { return take(maps_.tx, m.sl_tx); })
        .and_then([&] { return take(maps_.rings, m.sl_rings); });
}

void LoadedDataplane::fill_ports(const CompiledPolicy &policy) {
    for (size_t i = 0; i < facts_.size(); i++) {
        const Overhead &overhead = policy.port(static_cast<uint32_t>(i)).overhead;
        sluice_port &port = maps_.ports[i];
        port.ifindex = facts_[i].dev.ifindex;
        port.reader = facts_[i].reader;
        port.overhead = overhead.bytes;
        port.mpu = overhead.mpu;
        port.cells = overhead.cells;
        port.mtu = facts_[i].dev.mtu;
        port.guard = {20'000'000, 100'000'000}; // until the control loop knows better
        port.guard_limit_ns = 100'000'000;
    }
}

Result<> LoadedDataplane::fill_devmap(const CompiledPolicy &policy) {
    const int hook_fd =
        options_.hook == Hook::devmap ? bpf_program__fd(egress_->progs.sluice_devmap_frame) : -1;
    for (uint32_t i = 0; i < facts_.size(); i++) {
        const uint32_t ifindex = facts_[i].dev.ifindex;
        if (int err = bpf_map__update_elem(egress_->maps.sl_port_of, &ifindex, sizeof(ifindex), &i, sizeof(i),
                                           BPF_ANY))
            return fail_errno(err, "enter port " + policy.port(i).name + " into sl_port_of");
        bpf_devmap_val entry{};
        entry.ifindex = ifindex;
        entry.bpf_prog.fd = hook_fd;
        if (int err =
                bpf_map__update_elem(egress_->maps.sl_devmap, &i, sizeof(i), &entry, sizeof(entry), BPF_ANY))
            return fail_errno(err, "enter port " + policy.port(i).name + " into the devmap");
    }
    return {};
}

// Class ids of a generation start at its base, so that the classes of two generations never share state.
void LoadedDataplane::fill_generation(const CompiledPolicy &policy, uint32_t generation) {
    const uint32_t base = generation * SLUICE_MAX_CLASSES;
    for (uint32_t i = 0; i < policy.transitions.size(); i++) {
        sluice_transition image = policy.transitions[i].image;
        image.default_class += base;
        for (auto &rule : image.rules)
            rule.class_id = static_cast<uint16_t>(rule.class_id + base);
        maps_.transitions[generation * SLUICE_MAX_TRANSITIONS + i] = image;
    }
    for (uint32_t c = 0; c < SLUICE_MAX_CLASSES; c++) {
        maps_.classes[base + c] = sluice_class{};
        for (uint32_t cpu = 0; cpu < maps_.cpus; cpu++)
            maps_.class_counts[(base + c) * maps_.cpus + cpu] = sluice_class_count{};
        for (auto &share : maps_.classes[base + c].share) // admits all until the control loop publishes
            share.target_bytes = share.step_bytes = share.limit_bytes = ~0ull >> 2;
    }
    for (const auto &t : policy.transitions)
        for (uint32_t i = 0; i < t.classes.size(); i++)
            maps_.classes[base + t.first_class + i].mark = t.classes[i].mark;
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
        config.rules |= t.image.rule_count > 0;
    }
}

Result<> LoadedDataplane::load_ingress(const CompiledPolicy &policy, uint32_t port) {
    IngressPort in;
    in.port = port;
    in.program.reset(ingress__open());
    if (!in.program)
        return fail_errno(errno, "open the ingress BPF object");
    if (auto r = check_abi(in.program->rodata->abi_version, "ingress"); !r)
        return r;
    sluice_ingress_config config{};
    config.port = port;
    config.cpus = maps_.cpus;
    config.ports = static_cast<uint32_t>(facts_.size());
    config.seed[0] = random_word();
    config.seed[1] = random_word();
    set_egress_list(config, policy, port, facts_);
    std::copy(facts_[port].dev.mac.begin(), facts_[port].dev.mac.end(), config.mac);
    config.check_mac = !config.xconnect;
    config.frags = facts_[port].dev.mtu > kLargestLinearMtu;
    if (config.frags)
        bpf_program__set_flags(in.program->progs.sluice_ingress, BPF_F_XDP_HAS_FRAGS);
    config.rules = 1; // a later policy may bring rules; the program stays
    config.loss_bypass = 1;
    std::memcpy(&in.program->rodata->config, &config, sizeof(config));

    bpf_map *shared;
    bpf_object__for_each_map(shared, egress_->obj) {
        bpf_map *own = bpf_object__find_map_by_name(in.program->obj, bpf_map__name(shared));
        if (!own || bpf_map__is_internal(own))
            continue;
        if (int err = bpf_map__reuse_fd(own, bpf_map__fd(shared)))
            return fail_errno(err, std::string("share map ") + bpf_map__name(shared));
    }
    LibbpfLog log;
    if (int err = ingress__load(in.program.get()))
        return fail_errno(err, "load the ingress program for " + facts_[port].dev.name, log.tail());
    ingress_.push_back(std::move(in));
    return {};
}

Result<> LoadedDataplane::open(const CompiledPolicy &policy) {
    const int cpus = libbpf_num_possible_cpus();
    if (cpus <= 0)
        return fail_errno(cpus, "count the possible CPUs");
    maps_.cpus = static_cast<uint32_t>(cpus);
    if (auto r = query_ports(policy); !r)
        return r;
    if (auto r = load_egress(); !r)
        return r;
    LibbpfLog log;
    if (int err = egress__load(egress_.get()))
        return fail_errno(err, "load the egress programs", log.tail());
    if (auto r = map_arrays(); !r)
        return r;
    bpf_map_info info{};
    uint32_t length = sizeof(info);
    if (int err = bpf_obj_get_info_by_fd(bpf_map__fd(egress_->maps.sl_devmap), &info, &length))
        return fail_errno(err, "ask for the id of the devmap");
    maps_.control[0].abi_version = SLUICE_ABI_VERSION;
    maps_.control[0].devmap_id = info.id;
    maps_.control[0].sample_rate = options_.event_rate;
    fill_ports(policy);
    fill_generation(policy, 0);
    if (auto r = fill_devmap(policy); !r)
        return r;
    for (uint32_t port : ingress_ports(policy))
        if (auto r = load_ingress(policy, port); !r)
            return r;
    loaded_ = policy;
    return {};
}

Result<> LoadedDataplane::attach_tracepoints() {
    for (bpf_program *p : {egress_->progs.sluice_devmap_xmit, egress_->progs.sluice_redirect_err}) {
        Link link(bpf_program__attach(p));
        if (!link)
            return fail_errno(errno, std::string("attach tracepoint program ") + bpf_program__name(p),
                              "needs CAP_BPF and CAP_PERFMON");
        tracepoints_.push_back(std::move(link));
    }
    return {};
}

Result<> LoadedDataplane::attach_ingress(IngressPort &in) {
    PortFacts &facts = facts_[in.port];
    const int fd = bpf_program__fd(in.program->progs.sluice_ingress);
    struct Mode {
        uint32_t flag;
        const char *name;
    };
    int err = 0;
    for (Mode mode : {Mode{XDP_FLAGS_DRV_MODE, "native"}, Mode{XDP_FLAGS_SKB_MODE, "generic"}}) {
        LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = mode.flag);
        in.link = Fd(bpf_link_create(fd, static_cast<int>(facts.dev.ifindex), BPF_XDP, &opts));
        err = errno;
        if (in.link) {
            facts.xdp_mode = mode.name;
            if (std::strcmp(mode.name, "generic") == 0)
                facts.degraded = "driver " + facts.dev.driver + " has no native XDP: generic mode, slow";
            return {};
        }
        if (err == EBUSY)
            break;
    }
    return fail_errno(err, "attach XDP to " + facts.dev.name,
                      err == EBUSY
                          ? "another XDP program is there; see `bpftool net show dev " + facts.dev.name + "`"
                          : "");
}

Result<> LoadedDataplane::attach() {
    if (auto r = attach_tracepoints(); !r)
        return r;
    for (auto &in : ingress_)
        if (auto r = attach_ingress(in); !r)
            return r;
    for (size_t i = 0; i < facts_.size(); i++)
        if (facts_[i].reader == SLUICE_READER_NONE && facts_[i].xdp_mode.empty())
            facts_[i].degraded = "no ring reader for driver \"" + facts_[i].dev.driver +
                                 "\": runs on the phantom scheduler alone, give the port a rate";
    return {};
}

// Ports and forwarding are constants of the loaded programs; the rest lives in maps.
bool same_wiring(const CompiledPolicy &a, const CompiledPolicy &b) {
    if (a.source.ports.size() != b.source.ports.size() || a.transitions.size() != b.transitions.size())
        return false;
    for (size_t i = 0; i < a.source.ports.size(); i++)
        if (a.source.ports[i].device != b.source.ports[i].device)
            return false;
    for (size_t i = 0; i < a.transitions.size(); i++)
        if (a.transitions[i].from != b.transitions[i].from || a.transitions[i].to != b.transitions[i].to ||
            a.transitions[i].forward != b.transitions[i].forward)
            return false;
    return true;
}

Result<> LoadedDataplane::apply(const CompiledPolicy &policy) {
    if (!same_wiring(policy, loaded_))
        return fail("ports or forwarding differ from the running policy",
                    "restart sluiced to change devices, `from`, `to` or `forward`");
    const uint32_t next = 1 - maps_.control[0].generation;
    fill_generation(policy, next);
    fill_ports(policy);
    __atomic_store_n(&maps_.control[0].generation, next, __ATOMIC_RELEASE);
    loaded_ = policy;
    return {};
}

Result<> LoadedDataplane::sample(uint32_t port) {
    sluice_sample_args args{port, 0};
    LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &args, .ctx_size_in = sizeof(args));
    if (int err = bpf_prog_test_run_opts(bpf_program__fd(egress_->progs.sluice_sample), &opts))
        return fail_errno(err, "read the TX rings of port " + std::to_string(port));
    return {};
}

} // namespace

Result<std::unique_ptr<Dataplane>> Dataplane::load(const CompiledPolicy &policy, const Options &options) {
    auto dataplane = std::make_unique<LoadedDataplane>(options);
    if (auto r = dataplane->open(policy); !r)
        return tl::unexpected(r.error());
    return dataplane;
}

} // namespace sluice
