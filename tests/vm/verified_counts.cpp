// How much work the verifier of this kernel has with our programs: `verified_insns` of each, by feature set,
// as JSON. Built once per clang (CMakeLists.txt); tests/vm/vm_test.py compares with the budget.
#include <bpf/bpf.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "../bench/world.hpp"
#include "dataplane/dataplane.hpp"
#include "dataplane/ring_layout.hpp"
#include "policy/load.hpp"

namespace sluice {
namespace {

struct FeatureSet {
    const char *name;
    const char *policy; // behind `version: 1`; ports are fast0 and slow0
};
const FeatureSet kSets[] = {
    {"xconnect", R"(
ports: {fast: {device: fast0}, slow: {device: slow0, rate: 1gbit}}
transitions: [{from: fast, to: slow, forward: xconnect}]
)"},
    {"all", R"(
ports: {fast: {device: fast0}, slow: {device: slow0, rate: 1gbit}}
transitions:
  - {from: fast, to: slow, forward: fib, isolate: triple-isolate, on_controller_loss: bypass, classes: [
      {name: voice, match: [{dscp: ef}, {dport: 5060}], priority: 0, remark: cs5},
      {name: bulk, match: [{dst: 203.0.113.0/24}, {vlan: 7}], aqm: {law: pi2}}, {name: default}]}
)"},
    {"tc", R"(
ports: {fast: {device: fast0, xdp: tc}, slow: {device: slow0, rate: 1gbit}}
transitions:
  - {from: fast, to: slow, forward: fib, isolate: triple-isolate, on_controller_loss: bypass, classes: [
      {name: voice, match: [{dscp: ef}, {dport: 5060}], priority: 0, remark: cs5},
      {name: bulk, match: [{dst: 203.0.113.0/24}, {vlan: 7}], aqm: {law: pi2}}, {name: default}]}
)"},
    {"ways", R"(
ports: {fast: {device: fast0}, slow: {device: slow0, rate: 1gbit, spill: {qdisc: pfifo}}, other: {device: lo, rate: 1gbit}}
transitions:
  - {from: fast, to: slow, forward: fib, overflow: [other], classes: [
      {name: default, when_full: [mark, reroute, trim, bounce, spill, drop]}]}
  - {from: fast, to: other, forward: fib}
)"},
};

// All programs of ours in the kernel, by their names: this guest has no others.
nlohmann::json loaded_programs() {
    nlohmann::json out = nlohmann::json::object();
    for (uint32_t id = 0; bpf_prog_get_next_id(id, &id) == 0;) {
        const Fd program(bpf_prog_get_fd_by_id(id));
        bpf_prog_info info{};
        uint32_t length = sizeof(info);
        if (program && bpf_obj_get_info_by_fd(program.get(), &info, &length) == 0 &&
            std::string_view(info.name).starts_with("sluice_"))
            out[info.name] = std::max<uint32_t>(out.value(info.name, 0u), info.verified_insns);
    }
    return out;
}

Result<nlohmann::json> of_policy(const FeatureSet &set) {
    LoadResult loaded = load_policy_text("version: 1" + std::string(set.policy), set.name);
    if (!loaded.policy)
        return fail(format(loaded.diagnostics.front()));
    const auto dataplane = Dataplane::load(compile(std::move(*loaded.policy)), {});
    if (!dataplane)
        return tl::unexpected(dataplane.error());
    return loaded_programs();
}

// The egress programs with the readers of all drivers whose types this kernel shows. Without one there is no
// count.
Result<nlohmann::json> of_readers(Hook hook) {
    Wiring wiring{.cpus = 2};
    std::vector<PortFacts> &ports = wiring.ports;
    for (const RingDriver &driver : ring_drivers()) {
        PortFacts facts;
        facts.dev.driver = driver.driver;
        facts.reader = driver.reader;
        facts.trust = driver.trust;
        ports.push_back(facts);
    }
    wiring.wanted = wanted_readers(ports);
    auto found = running_ring_layout(wiring.wanted);
    if (!found)
        return tl::unexpected(found.error());
    wiring.readers = std::move(*found);
    settle_readers(ports, wiring.readers);
    const auto instance = load_egress(
        wiring, {.ports = static_cast<uint32_t>(ports.size()), .cpus = 2, .classes = 256, .flows = 16384},
        hook, true);
    if (!instance)
        return tl::unexpected(instance.error());
    for (const PortFacts &port : ports)
        if (port.reader == SLUICE_READER_NONE)
            return fail("no reader for " + port.dev.driver + ": " + port.reader_note);
    return loaded_programs();
}

Result<nlohmann::json> all_counts() {
    nlohmann::json out = nlohmann::json::object();
    auto take = [&](const std::string &set, const Result<nlohmann::json> &counts) -> Result<> {
        if (!counts)
            return fail(set + ": " + counts.error().what, counts.error().cure);
        for (const auto &[program, insns] : counts->items())
            out[set + "." + program] = insns;
        return {};
    };
    for (const FeatureSet &set : kSets) {
        const auto counts = of_policy(set);
        if (!counts && counts.error().what.find("needs Linux 6.6") != std::string::npos)
            continue; // as documented
        if (auto r = take(set.name, counts); !r)
            return tl::unexpected(r.error());
    }
    if (auto r = take("readers", of_readers(Hook::tracepoint)); !r)
        return tl::unexpected(r.error());
    const auto devmap = of_readers(Hook::devmap);
    if (!devmap && devmap.error().what.find("needs kernel 6.2") != std::string::npos)
        return out; // as documented
    if (auto r = take("readers_devmap", devmap); !r)
        return tl::unexpected(r.error());
    return out;
}

} // namespace
} // namespace sluice

int main() {
    const auto world = sluice::bench::enter_world();
    const auto counts =
        world ? sluice::all_counts() : sluice::Result<nlohmann::json>(tl::unexpected(world.error()));
    if (!counts) {
        std::fprintf(stderr, "verified_counts: %s\n", to_string(counts.error()).c_str());
        return 1;
    }
    std::printf("%s\n", counts->dump(1).c_str());
    return 0;
}
