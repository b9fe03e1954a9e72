#include "dataplane/loaded_dataplane.hpp"

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <thread>
#include <utility>

#include "core/clock.hpp"
#include "dataplane/attach.hpp"
#include "dataplane/carry.hpp"
#include "dataplane/fill.hpp"
#include "dataplane/follow.hpp"
#include "dataplane/pin_folder.hpp"
#include "dataplane/pins.hpp"
#include "dataplane/port_health.hpp"
#include "dataplane/swap.hpp"
#include "dataplane/vlans.hpp"
#include "dataplane/xdp_query.hpp"

namespace sluice {
namespace {

// Programs that read the old index, or old programs, finish within microseconds, a NAPI poll within
// milliseconds; then the old counters stand still.
constexpr auto kLastRead = std::chrono::milliseconds(2), kLastFrame = std::chrono::milliseconds(10);

} // namespace

LoadedDataplane::~LoadedDataplane() {
    if (pins_ && (attached_ || adopted_))
        active_.leave();
}

Result<> LoadedDataplane::fill(DataPath &path, const CompiledPolicy &policy) const {
    bpf_map_info info{};
    uint32_t length = sizeof(info);
    if (int err = bpf_obj_get_info_by_fd(path.instance.map("sl_devmap"), &info, &length))
        return fail_errno(err, "ask for the id of the devmap");
    sluice_control &control = path.maps.control[0];
    control.abi_version = SLUICE_ABI_VERSION;
    control.devmap_id = info.id;
    control.sample_rate = options_.event_rate;
    control.flow_mask = static_cast<uint32_t>(path.maps.flows.size()) - 1;
    control.heartbeat_ns = monotonic_ns();
    fill_ports(path.maps, policy, path.ports());
    return fill_generation(path.instance, path.maps, policy, 0)
        .and_then([&] { return fill_devmap(path.instance, policy, path.ports()); })
        .and_then([&] { return follow_vlans(path.instance, path.ports()); });
}

// The relay in a dispatcher is libxdp's to keep, and would stay there when a daemon that pins nothing dies.
Result<> LoadedDataplane::check_pins(const CompiledPolicy &policy) const {
    for (const uint32_t port : ingress_ports(policy))
        if (!pins_ && policy.port(port).attach == AttachChoice::dispatcher)
            return fail("port " + policy.port(port).name + " has `attach: dispatcher`, which needs pins",
                        "start sluiced without --ephemeral");
    return {};
}

Result<DataPath> LoadedDataplane::build(const CompiledPolicy &policy, Wiring wiring) const {
    if (auto r = check_pins(policy); !r)
        return tl::unexpected(r.error());
    DataPath path;
    path.wiring = std::move(wiring);
    path.identity = identity(policy, path.wiring, options_.hook);
    auto instance =
        load_egress(path.wiring, map_sizes(policy, path.wiring), options_.hook, has_spill(policy));
    if (!instance)
        return tl::unexpected(instance.error());
    path.instance = std::move(*instance);
    auto maps = map_arrays(path.instance, path.wiring.cpus);
    if (!maps)
        return tl::unexpected(maps.error());
    path.maps = std::move(*maps);
    for (uint32_t port : ingress_ports(policy)) {
        IngressPort in;
        in.hook = policy.port(port).xdp == XdpChoice::tc ? IngressHook::tc : IngressHook::xdp;
        auto program = load_ingress(path.instance, policy, port, path.wiring, in.hook);
        if (!program)
            return tl::unexpected(program.error());
        in.port = port;
        in.ifindex = path.ports()[port].missing ? 0 : path.ports()[port].dev.ifindex;
        in.program = std::move(*program);
        path.ingress.push_back(std::move(in));
    }
    if (auto r = fill(path, policy); !r)
        return tl::unexpected(r.error());
    return path;
}

Result<> LoadedDataplane::open_pins(const CompiledPolicy &policy, const Wiring &wiring) {
    auto folder = PinFolder::open(options_.pin_path);
    if (!folder)
        return tl::unexpected(folder.error());
    pins_.emplace(std::move(*folder));
    const auto current = pins_->current();
    pins_->keep_only(current.value_or("")); // others never came into force
    if (!current)
        return {};
    before_ = read_pins(*current);
    if (!before_.ingress.empty() && before_.wiring.netns != wiring.netns)
        return fail_busy(
            "the data path pinned in " + options_.pin_path + " serves another network namespace",
            "give this sluiced another --pin-path, or end that data path with `sluicectl unload`");
    const auto fits = check_adoptable(before_, policy, wiring, identity(policy, wiring, options_.hook));
    adopted_ = fits.has_value();
    history_ = (adopted_ ? "goes on with the data path pinned in " : "replaces the data path pinned in ") +
               current->string() + (adopted_ ? "" : ": " + fits.error().what);
    return {};
}

Result<> LoadedDataplane::open(const CompiledPolicy &policy) {
    auto wiring = survey(policy.source, nullptr, nullptr);
    if (!wiring)
        return tl::unexpected(wiring.error());
    if (!options_.pin_path.empty())
        if (auto r = open_pins(policy, *wiring); !r)
            return r;
    if (adopted_)
        return adopt(policy, std::move(*wiring));
    loaded_ = policy;
    auto built = build(policy, std::move(*wiring));
    if (!built)
        return tl::unexpected(built.error());
    active_ = std::move(*built);
    carry(active_, before_);
    return {};
}

Result<> LoadedDataplane::adopt(const CompiledPolicy &policy, Wiring wiring) {
    active_ = std::move(before_);
    before_ = DataPath();
    if (auto r = check_attachments(policy, wiring); !r)
        return r;
    active_.wiring = std::move(wiring);
    active_.maps.control[0].sample_rate = options_.event_rate;
    loaded_ = policy;
    if (auto r = follow_vlans(active_.instance, active_.ports()); !r)
        return r;
    if (active_.maps.control[0].policy_hash[generation()] != policy_hash(policy))
        return flip(policy);
    fill_ports(active_.maps, policy, active_.ports());
    return {};
}

// Of the ports that the instance in force is attached to.
Result<> LoadedDataplane::check_attachments(const CompiledPolicy &policy, const Wiring &wiring) const {
    for (const uint32_t port : ingress_ports(policy))
        for (const IngressPort &in : active_.ingress)
            if (const PortFacts &facts = wiring.ports[port];
                !facts.missing && in.at && in.ifindex == facts.dev.ifindex)
                if (auto r = check_attachment(in.at, facts, policy.port(port)); !r)
                    return r;
    return {};
}

Result<> LoadedDataplane::attach_adopted() {
    for (const IngressPort &in : active_.ingress) {
        active_.ports()[in.port].xdp_mode = in.at.mode();
        note_mode(active_.maps, in.port, active_.ports()[in.port]);
    }
    // What an earlier daemon left beside the programs: from here on this process runs it.
    DataPath left;
    left.pass_links.swap(active_.pass_links);
    left.slow_paths.swap(active_.slow_paths);
    left.qdiscs.swap(active_.qdiscs);
    return open_side_paths(active_, left, loaded_)
        .and_then([&] { return serve_ports(active_.instance, loaded_, active_.ports()); })
        .and_then([&] { return pin_again(); })
        .map([&] { detach_others(active_, left); });
}

Result<> LoadedDataplane::attach() {
    auto done = adopted_ ? attach_adopted() : exchange(active_, before_, loaded_);
    before_ = DataPath();
    attached_ = done.has_value();
    if (done)
        note_health(active_, loaded_);
    return done;
}

// Sets, adds nothing: what was carried before the swap is carried again when the last frame is counted.
void LoadedDataplane::carry(DataPath &next, const DataPath &old) const {
    if (!old.has_counters())
        return;
    carry_classes(old.maps, old.maps.control[0].generation * old.maps.class_rows(), next.maps, 0);
    carry_ports(old.maps, next.maps);
}

// Everything of `next` is pinned before it comes into force: whoever looks finds a whole instance, the old or
// the new one.
Result<> LoadedDataplane::bring_in(DataPath &next, DataPath &old, const CompiledPolicy &policy) {
    // A pass program may be what makes a port take frames.
    auto opened = open_side_paths(next, old, policy).and_then([&] {
        return serve_ports(next.instance, policy, next.ports());
    });
    if (!opened)
        return opened;
    if (pins_) {
        auto folder = pins_->create();
        if (!folder)
            return tl::unexpected(folder.error());
        next.pins = std::move(*folder);
        if (auto r = pin_programs(next); !r)
            return r;
    }
    if (old.has_counters()) {
        carry(next, old);
        const auto carried = carry_rings({old.maps, old.instance.map("sl_stamps")},
                                         {next.maps, next.instance.map("sl_stamps")});
        if (!carried)
            return carried;
    }
    if (auto r = put_in_place(next, old, policy); !r || !pins_)
        return r;
    return pin_programs(next) // again: tc may have had to stand in for XDP
        .and_then([&] { return pin_links(next); })
        .and_then([&] { return pins_->put_in_force(next.pins); });
}

Result<> LoadedDataplane::exchange(DataPath &next, DataPath &old, const CompiledPolicy &policy) {
    if (auto r = bring_in(next, old, policy); !r) {
        put_back(next, old);
        if (pins_)
            pins_->keep_only(old.pins);
        return r;
    }
    detach_others(next, old);
    std::this_thread::sleep_for(kLastFrame);
    carry(next, old);
    if (pins_)
        pins_->keep_only(next.pins);
    return {};
}

Result<> LoadedDataplane::prepare(const CompiledPolicy &policy) {
    prepared_for_.reset();
    prepared_.reset();
    auto wiring = survey(policy.source, &active_.wiring, &loaded_.source);
    if (!wiring)
        return tl::unexpected(wiring.error());
    if (auto r = check_attachments(policy, *wiring); !r)
        return r;
    if (identity(policy, *wiring, options_.hook) != active_.identity ||
        policy.class_count > active_.maps.class_rows()) {
        auto built = build(policy, std::move(*wiring));
        if (!built)
            return tl::unexpected(built.error());
        prepared_ = std::move(*built);
    }
    prepared_for_ = policy_hash(policy);
    return {};
}

Result<> LoadedDataplane::flip(const CompiledPolicy &policy) {
    Maps &m = active_.maps;
    const uint32_t next = 1 - m.control[0].generation, old_base = class_base(), base = next * m.class_rows();
    if (auto r = fill_generation(active_.instance, m, policy, next); !r)
        return r;
    carry_classes(m, old_base, m, base);
    fill_ports(m, policy, active_.ports());
    __atomic_store_n(&m.control[0].generation, next, __ATOMIC_RELEASE);
    std::this_thread::sleep_for(kLastRead);
    carry_classes(m, old_base, m, base);
    loaded_ = policy;
    return {};
}

Result<> LoadedDataplane::apply(const CompiledPolicy &policy) {
    if (prepared_for_ != policy_hash(policy))
        if (auto r = prepare(policy); !r)
            return r;
    prepared_for_.reset();
    if (!prepared_)
        return flip(policy).map([&] { note_health(active_, loaded_); });
    DataPath next = std::move(*prepared_);
    prepared_.reset();
    if (auto r = exchange(next, active_, policy); !r)
        return r;
    history_ = "replaced the data path: other devices, forwarding or map sizes";
    active_ = std::move(next);
    loaded_ = policy;
    instances_++;
    note_health(active_, loaded_);
    return {};
}

SpillPath *LoadedDataplane::spill(uint32_t port) {
    const auto found = active_.spills.find(port);
    return found == active_.spills.end() ? nullptr : found->second.get();
}

Result<> LoadedDataplane::sample(uint32_t port) {
    sluice_sample_args args{port, 0};
    LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &args, .ctx_size_in = sizeof(args));
    if (int err = bpf_prog_test_run_opts(active_.instance.sampler.get(), &opts))
        return fail_errno(err, "read the TX rings of port " + std::to_string(port));
    return {};
}

Result<> LoadedDataplane::pause(uint32_t port, uint16_t quanta) {
    const auto found = active_.pauses.find(port);
    return found == active_.pauses.end() ? Result<>() : found->second.send(quanta);
}

Result<std::unique_ptr<Dataplane>> Dataplane::load(const CompiledPolicy &policy, const Options &options) {
    auto dataplane = std::make_unique<LoadedDataplane>(options);
    if (auto r = dataplane->open(policy); !r)
        return tl::unexpected(r.error());
    return dataplane;
}

} // namespace sluice
