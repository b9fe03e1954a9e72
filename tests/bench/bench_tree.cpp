// What the control loop costs by ports x tenants x classes x flows when all of them are busy at once: CPU of
// its thread over a few seconds, the memory of the shared maps, and how long start, attach and reload take.
// The data path is loaded for real; instead of packets, this program keeps every flow's bucket backlogged.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <thread>
#include <utility>

#include <nlohmann/json.hpp>
#include <pthread.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include "control/loop.hpp"
#include "core/clock.hpp"
#include "machine.hpp"
#include "policy/load.hpp"
#include "world.hpp"

namespace {

using namespace sluice;
using namespace sluice::bench;
using Json = nlohmann::ordered_json;

constexpr uint32_t kClasses = 4; // diffserv4

// Tenants and flows are those of each port, flows those of a class.
struct Size {
    uint32_t ports, tenants, flows;
    uint32_t classes() const { return ports * tenants * kClasses; }
};
constexpr Size kSizes[] = {{1, 1, 4},   {8, 1, 4},    {1, 10, 4},  {8, 10, 4},
                           {1, 100, 4}, {1, 1000, 4}, {1, 2000, 2}};
constexpr uint32_t kMostPorts = 8;

std::string slow_port(uint32_t i) {
    return i ? "more" + std::to_string(i) : kSlow;
}

Result<> add_ports() {
    for (uint32_t i = 1; i < kMostPorts; i++) {
        const std::string name = slow_port(i);
        if (std::system(("ip link add " + name + " type veth peer name " + name + "p && ip link set " + name +
                         " up && ip link set " + name + "p up")
                            .c_str()) != 0)
            return fail("make veth pair " + name);
    }
    return {};
}

std::string policy_text(const Size &size) {
    std::string ports, transitions, tenants;
    for (uint32_t i = 0; i < size.tenants; i++)
        tenants += (i ? ", " : "") + std::string("{name: t") + std::to_string(i) + ", match: 10." +
                   std::to_string(i / 256) + "." + std::to_string(i % 256) +
                   ".0/24, weight: " + std::to_string(1 + i % 7) + ", ceil: 500mbit}";
    for (uint32_t i = 0; i < size.ports; i++) {
        ports += "  " + slow_port(i) + ": {device: " + slow_port(i) + ", rate: 1gbit}\n";
        transitions += "  - {from: fast, to: " + slow_port(i) +
                       ", classes: diffserv4, tenants: {by: dst, list: [" + tenants + "]}}\n";
    }
    return std::string("version: 1\nports:\n  fast: {device: ") + kFast + "}\n" + ports + "transitions:\n" +
           transitions;
}

uint64_t map_bytes(Maps &maps) {
    return maps.classes.size() * sizeof(sluice_class) +
           maps.class_counts.size() * sizeof(sluice_class_count) +
           maps.flows.size() * sizeof(sluice_flow_set) + maps.flow_info.size() * sizeof(sluice_flow_info);
}

uint64_t cpu_of(std::jthread &thread) {
    clockid_t clock{};
    timespec t{};
    pthread_getcpuclockid(thread.native_handle(), &clock);
    clock_gettime(clock, &t);
    return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(t.tv_nsec);
}

// Every class of every tenant has `flows` flows that always wait.
class Load {
  public:
    Load(Dataplane &dataplane, const Size &size) : maps_(dataplane.maps()), ports_(size.ports) {
        const uint32_t of_port = size.tenants * kClasses, buckets = maps_.touched.size() * 64;
        for (uint32_t i = 0; i < size.classes() * size.flows && i < buckets; i++) {
            const uint32_t c = i % size.classes(), others = (c / of_port + 1) * kClasses;
            sluice_flow &f = maps_.flow(i);
            f.tag = i + 1;
            f.class_id = static_cast<uint16_t>(dataplane.class_base() + others + c); // tenant `other` idles
            f.listed = 1;
            f.scale = 1;
            count_++;
        }
        feed();
        for (uint32_t i = 0; i < count_; i++)
            maps_.touched[i / 64] |= 1ull << (i % 64);
    }
    // As if each flow had sent what it does in 10 ms: together twice what the ports can send.
    void feed() {
        const uint64_t bytes = std::max(1500u, 2'500'000 * ports_ / count_);
        for (uint32_t i = 0; i < count_; i++) {
            sluice_flow &f = maps_.flow(i);
            f.finish += bytes;
            maps_.class_counts[f.class_id * maps_.cpus].admitted_bytes += bytes;
        }
    }
    uint32_t count() const { return count_; }

  private:
    Maps &maps_;
    uint32_t ports_ = 1, count_ = 0;
};

Result<Json> measure(const Size &size, double seconds) {
    LoadResult loaded = load_policy_text(policy_text(size), "bench");
    if (!loaded.policy)
        return fail("the policy of the bench is not valid: " + format(loaded.diagnostics.front()));
    const CompiledPolicy policy = compile(std::move(*loaded.policy));
    const uint64_t start = monotonic_ns();
    auto dataplane = Dataplane::load(policy, {});
    if (!dataplane)
        return tl::unexpected(dataplane.error());
    const uint64_t loaded_at = monotonic_ns();
    if (auto r = (*dataplane)->attach(); !r)
        return tl::unexpected(r.error());
    const uint64_t attached_at = monotonic_ns();
    if (auto r = (*dataplane)->apply(policy); !r)
        return tl::unexpected(r.error());
    const uint64_t reloaded_at = monotonic_ns();
    WakeSignal wake;
    Loop loop(**dataplane, policy, wake);
    Load load(**dataplane, size);
    std::jthread thread([&](const std::stop_token &stop) { loop.run(stop); });
    const auto keep_busy = [&](double for_s) {
        for (const uint64_t begin = monotonic_ns(); monotonic_ns() - begin < for_s * 1e9;) {
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
            load.feed();
            if (std::exchange((*dataplane)->maps().control[0].wake, 0)) // as a frame does
                wake.raise();
        }
    };
    keep_busy(0.5);
    const uint64_t ticks = loop.snapshot().ticks, cpu = cpu_of(thread), begin = monotonic_ns();
    keep_busy(seconds);
    const double wall_ns = static_cast<double>(monotonic_ns() - begin);
    const double used_ns = static_cast<double>(cpu_of(thread) - cpu);
    const double done = static_cast<double>(std::max<uint64_t>(1, loop.snapshot().ticks - ticks));
    const auto ms = [](uint64_t from, uint64_t to) { return static_cast<double>(to - from) / 1e6; };
    return Json{{"ports", size.ports},
                {"tenants", size.tenants},
                {"classes", size.classes()},
                {"flows", load.count()},
                {"tick_us", used_ns / done / 1e3},
                {"period_ms", wall_ns / done / 1e6},
                {"core_percent", 100 * used_ns / wall_ns},
                {"load_ms", ms(start, loaded_at)},
                {"attach_ms", ms(loaded_at, attached_at)},
                {"reload_ms", ms(attached_at, reloaded_at)},
                {"map_bytes", map_bytes((*dataplane)->maps())},
                {"map_bytes_per_tenant", map_bytes((*dataplane)->maps()) / (size.ports * size.tenants)}};
}

Result<> run(double seconds, const std::string &json) {
    if (const auto world = enter_world(); !world)
        return tl::unexpected(world.error());
    if (const auto ports = add_ports(); !ports)
        return ports;
    Json rows = Json::array();
    std::printf("%5s %8s %8s %8s %9s %10s %7s %8s %10s %10s %13s\n", "ports", "tenants", "classes", "flows",
                "tick us", "period ms", "core %", "load ms", "attach ms", "reload ms", "bytes/tenant");
    for (const Size &size : kSizes) {
        const auto row = measure(size, seconds);
        if (!row)
            return tl::unexpected(row.error());
        const auto figure = [&](const char *key) { return (*row)[key].get<double>(); };
        std::printf("%5u %8u %8u %8.0f %9.1f %10.2f %7.2f %8.1f %10.1f %10.1f %13.0f\n", size.ports,
                    size.tenants, size.classes(), figure("flows"), figure("tick_us"), figure("period_ms"),
                    figure("core_percent"), figure("load_ms"), figure("attach_ms"), figure("reload_ms"),
                    figure("map_bytes_per_tenant"));
        rows.push_back(*row);
    }
    if (json.empty())
        return {};
    const Machine m = this_machine();
    std::ofstream out(json);
    out << Json{{"machine", {{"kernel", m.kernel}, {"cpu", m.cpu_model}, {"cpus", m.cpus}, {"date", m.date}}},
                {"tree", rows}}
               .dump(2)
        << "\n";
    return out ? Result<>{} : fail("write " + json);
}

} // namespace

int main(int argc, char **argv) {
    CLI::App app{"CPU and memory of the control loop by ports, tenants, classes and flows, all busy"};
    double seconds = 3;
    std::string json;
    app.add_option("--seconds", seconds, "measured time of each size")->check(CLI::Range(0.1, 600.0));
    app.add_option("--json", json, "write the figures to this file");
    CLI11_PARSE(app, argc, argv);
    if (const auto r = run(seconds, json); !r) {
        std::fprintf(stderr, "bench_tree: %s\n", to_string(r.error()).c_str());
        return 1;
    }
    return 0;
}
