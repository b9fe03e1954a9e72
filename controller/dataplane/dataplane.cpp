#include "dataplane/dataplane.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "dataplane/attach.hpp"
#include "dataplane/fill.hpp"
#include "dataplane/follow.hpp"
#include "dataplane/load.hpp"
#include "dataplane/pass_program.hpp"
#include "dataplane/pause_sender.hpp"
#include "dataplane/port_health.hpp"
#include "dataplane/slow_path.hpp"

namespace sluice {
namespace {

// One fast port: its program, with its constants, and what keeps it attached.
struct IngressPort {
    uint32_t port = 0;
    Fd program;
    Fd link;                  // detaches when closed
    uint32_t attached_to = 0; // ifindex
    bool stale = false;       // its constants no longer hold
};

// Ports that frames come from, in the order of the policy.
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
    Result<bool> look() override;
    Result<> follow() override;
    Result<> sample(uint32_t port) override;
    Result<> pause(uint32_t port, uint16_t quanta) override;
    SpillPath *spill(uint32_t port) override { return spills_[port].get(); }
    Maps &maps() override { return maps_; }
    const std::vector<PortFacts> &ports() const override { return facts_; }
    int events_fd() const override { return instance_.map("sl_events"); }
    uint32_t generation() const override { return maps_.control[0].generation; }
    Hook hook() const override { return options_.hook; }

  private:
    Result<> load_programs(const CompiledPolicy &policy);
    Result<> fill(const CompiledPolicy &policy);
    Result<> open_slow_paths();
    Result<> open_pause(uint32_t port);
    Result<> put_in_place(IngressPort &in);
    Result<> follow_ingress(IngressPort &in, const std::vector<PortFacts> &before);
    void attach_pass_programs();
    void note_health();

    Options options_;
    CompiledPolicy loaded_;
    std::vector<PortFacts> facts_;
    Instance instance_;
    Maps maps_;
    std::vector<Fd> tracepoints_;
    std::vector<std::unique_ptr<SpillPath>> spills_; // by port
    std::vector<SlowPath> slow_paths_;
    std::map<uint32_t, PauseSender> pauses_; // by port
    std::vector<IngressPort> ingress_;
    std::map<uint32_t, Fd> pass_links_; // by ifindex: slow ports whose driver wants a program
    std::vector<PortFacts> seen_;       // by look(), not acted on yet
    bool unfinished_ = false;           // follow() failed: the next look shall try again
};

Result<> LoadedDataplane::load_programs(const CompiledPolicy &policy) {
    const int possible = libbpf_num_possible_cpus();
    if (possible <= 0)
        return fail_errno(possible, "count the possible CPUs");
    const auto cpus = static_cast<uint32_t>(possible);
    const auto &ports = policy.source.ports;
    const bool slow_path =
        std::any_of(ports.begin(), ports.end(), [](const Port &p) { return p.spill.has_value(); });
    auto instance = load_egress(facts_, map_sizes(policy, cpus), options_.hook, slow_path);
    if (!instance)
        return tl::unexpected(instance.error());
    instance_ = std::move(*instance);
    auto maps = map_arrays(instance_, cpus);
    if (!maps)
        return tl::unexpected(maps.error());
    maps_ = std::move(*maps);
    for (uint32_t port : ingress_ports(policy)) {
        auto program = load_ingress(instance_, policy, port, facts_, cpus);
        if (!program)
            return tl::unexpected(program.error());
        ingress_.push_back({port, std::move(*program), Fd()});
    }
    return {};
}

Result<> LoadedDataplane::fill(const CompiledPolicy &policy) {
    bpf_map_info info{};
    uint32_t length = sizeof(info);
    if (int err = bpf_obj_get_info_by_fd(instance_.map("sl_devmap"), &info, &length))
        return fail_errno(err, "ask for the id of the devmap");
    maps_.control[0].abi_version = SLUICE_ABI_VERSION;
    maps_.control[0].devmap_id = info.id;
    maps_.control[0].sample_rate = options_.event_rate;
    fill_ports(maps_, policy, facts_);
    maps_.control[0].flow_mask = static_cast<uint32_t>(maps_.flows.size()) - 1;
    return fill_generation(instance_, maps_, policy, 0).and_then([&] {
        return fill_devmap(instance_, policy, facts_);
    });
}

Result<> LoadedDataplane::open(const CompiledPolicy &policy) {
    auto facts = query_ports(policy.source);
    if (!facts)
        return tl::unexpected(facts.error());
    facts_ = std::move(*facts);
    spills_.resize(facts_.size());
    loaded_ = policy;
    return load_programs(policy).and_then([&] { return fill(policy); }).and_then([&] {
        return open_slow_paths();
    });
}

// Qdisc and tc program of the ports with `spill`, packet socket of those with `pause`.
Result<> LoadedDataplane::open_slow_paths() {
    for (uint32_t i = 0; i < facts_.size(); i++) {
        const Port &port = loaded_.port(i);
        if (auto opened = port.pause ? open_pause(i) : Result<>(); !opened)
            return opened;
        if (!port.spill || !port.rate_bytes_per_s)
            continue;
        const SpillQdisc::Config config{.ifindex = facts_[i].dev.ifindex,
                                        .device = facts_[i].dev.name,
                                        .queue = *port.spill,
                                        .overhead = port.overhead.bytes,
                                        .mtu_bytes = facts_[i].dev.mtu + 14 + port.overhead.bytes};
        auto spill = SpillPath::open(config, maps_.ports[i], *port.rate_bytes_per_s);
        if (!spill)
            return tl::unexpected(spill.error());
        spills_[i] = std::move(*spill);
        auto slow_path = SlowPath::attach(instance_.slow_path, facts_[i].dev);
        if (!slow_path)
            return tl::unexpected(slow_path.error());
        slow_paths_.push_back(std::move(*slow_path));
    }
    return {};
}

Result<> LoadedDataplane::attach() {
    auto tracepoints = attach_tracepoints(instance_);
    if (!tracepoints)
        return tl::unexpected(tracepoints.error());
    tracepoints_ = std::move(*tracepoints);
    attach_pass_programs();
    if (auto r = serve_ports(instance_, loaded_, facts_); !r)
        return r;
    for (auto &in : ingress_)
        if (auto r = put_in_place(in); !r)
            return r;
    note_health();
    return {};
}

// Attaches the port's program, or exchanges it on a device that has one of ours: without a gap.
Result<> LoadedDataplane::put_in_place(IngressPort &in) {
    PortFacts &facts = facts_[in.port];
    if (facts.missing)
        return {};
    if (in.link && in.attached_to == facts.dev.ifindex) {
        if (int err = bpf_link_update(in.link.get(), in.program.get(), nullptr))
            return fail_errno(err, "replace the XDP program of " + facts.dev.name);
        return {};
    }
    auto link = attach_xdp(in.program, facts);
    if (!link)
        return tl::unexpected(link.error());
    in.link = std::move(*link);
    in.attached_to = facts.dev.ifindex;
    return {};
}

Result<> LoadedDataplane::follow_ingress(IngressPort &in, const std::vector<PortFacts> &before) {
    if (facts_[in.port].missing) {
        in.link = Fd();
        return {};
    }
    in.stale = in.stale || needs_new_program(loaded_, in.port, before, facts_);
    if (in.link && !in.stale)
        return {};
    if (in.stale) {
        auto program = load_ingress(instance_, loaded_, in.port, facts_, maps_.cpus);
        if (!program)
            return tl::unexpected(program.error());
        in.program = std::move(*program);
    }
    return put_in_place(in).map([&] { in.stale = false; });
}

// Where somebody else's program is attached already, it does the same service.
void LoadedDataplane::attach_pass_programs() {
    for (uint32_t i = 0; i < facts_.size(); i++) {
        PortFacts &facts = facts_[i];
        const PortRole role = role_of(loaded_, i);
        if (!role.to || role.from || facts.missing || facts.preflight.xmit != Ability::with_program ||
            pass_links_.contains(facts.dev.ifindex))
            continue;
        if (auto link = attach_pass_program(facts.dev)) {
            pass_links_.emplace(facts.dev.ifindex, std::move(*link));
            facts.preflight = preflight(facts.dev);
        }
    }
}

void LoadedDataplane::note_health() {
    for (uint32_t i = 0; i < facts_.size(); i++)
        facts_[i].degraded = port_health(facts_[i], loaded_.port(i), role_of(loaded_, i));
}

Result<bool> LoadedDataplane::look() {
    auto seen = query_ports(loaded_.source, &facts_);
    if (!seen)
        return tl::unexpected(seen.error());
    seen_ = std::move(*seen);
    return unfinished_ || differs(facts_, seen_);
}

Result<> LoadedDataplane::follow() {
    const std::vector<PortFacts> before = std::exchange(facts_, std::move(seen_));
    Result<> done;
    for (uint32_t i = 0; i < facts_.size(); i++)
        if (facts_[i].dev.ifindex != before[i].dev.ifindex)
            for (uint32_t cpu = 0; cpu < maps_.cpus; cpu++)
                maps_.rings[i * maps_.cpus + cpu].device = 0; // the old one's memory may be anybody's
    std::erase_if(pass_links_, [&](const auto &entry) {
        return std::none_of(facts_.begin(), facts_.end(),
                            [&](const PortFacts &f) { return !f.missing && f.dev.ifindex == entry.first; });
    });
    attach_pass_programs();
    fill_ports(maps_, loaded_, facts_);
    done = serve_ports(instance_, loaded_, facts_);
    std::map<uint32_t, std::string> trouble; // of one port, which is not the others'
    for (auto &in : ingress_)
        if (const auto followed = follow_ingress(in, before); !followed) {
            trouble[in.port] = to_string(followed.error());
            done = followed;
        }
    note_health();
    for (const auto &[port, text] : trouble)
        facts_[port].degraded = text;
    unfinished_ = !done;
    return done;
}

// Ports and forwarding are constants of the loaded programs; the rest lives in maps.
bool same_wiring(const CompiledPolicy &a, const CompiledPolicy &b) {
    if (a.source.ports.size() != b.source.ports.size() || a.transitions.size() != b.transitions.size())
        return false;
    for (size_t i = 0; i < a.source.ports.size(); i++)
        if (a.source.ports[i].device != b.source.ports[i].device ||
            a.source.ports[i].spill.has_value() != b.source.ports[i].spill.has_value())
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
                    "restart sluiced to change devices, `from`, `to`, `forward` or `spill`");
    for (const auto &in : ingress_)
        if (ways_of(policy, in.port) & ~ways_of(loaded_, in.port))
            return fail("`when_full` on port " + policy.port(in.port).name +
                            " names ways that its program was loaded without",
                        "restart sluiced to use them");
    const uint32_t next = 1 - maps_.control[0].generation;
    if (policy.class_count > maps_.class_rows())
        return fail("the policy has " + std::to_string(policy.class_count) +
                        " classes, the loaded maps hold " + std::to_string(maps_.class_rows()),
                    "restart sluiced to load larger maps");
    if (auto r = fill_generation(instance_, maps_, policy, next); !r)
        return r;
    fill_ports(maps_, policy, facts_);
    __atomic_store_n(&maps_.control[0].generation, next, __ATOMIC_RELEASE);
    loaded_ = policy;
    return {};
}

Result<> LoadedDataplane::sample(uint32_t port) {
    sluice_sample_args args{port, 0};
    LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &args, .ctx_size_in = sizeof(args));
    if (int err = bpf_prog_test_run_opts(instance_.sampler.get(), &opts))
        return fail_errno(err, "read the TX rings of port " + std::to_string(port));
    return {};
}

Result<> LoadedDataplane::pause(uint32_t port, uint16_t quanta) {
    if (auto opened = open_pause(port); !opened)
        return opened;
    return pauses_.at(port).send(quanta);
}

// A later policy may ask for it on another port than the first one did.
Result<> LoadedDataplane::open_pause(uint32_t port) {
    if (pauses_.contains(port))
        return {};
    auto sender = PauseSender::open(facts_[port].dev);
    if (!sender)
        return tl::unexpected(sender.error());
    pauses_.emplace(port, std::move(*sender));
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
