// What the control loop costs by tenants x classes x flows when all of them are busy at once: CPU of its
// thread over a few seconds, the memory of the shared maps, and how long start, attach and reload take. The
// data path is loaded for real; instead of packets, this program keeps every flow's bucket backlogged.
#include <cstdio>
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

std::string policy_text(uint32_t tenants) {
    std::string text = std::string("version: 1\nports:\n  fast: {device: ") + kFast +
                       "}\n  slow: {device: " + kSlow +
                       ", rate: 1gbit}\ntransitions:\n  - {from: fast, to: slow, forward: xconnect, classes: "
                       "diffserv4, tenants: {by: dst, list: [";
    for (uint32_t i = 0; i < tenants; i++)
        text += (i ? ", " : "") + std::string("{name: t") + std::to_string(i) + ", match: 10." +
                std::to_string(i / 256) + "." + std::to_string(i % 256) +
                ".0/24, weight: " + std::to_string(1 + i % 7) + ", ceil: 500mbit}";
    return text + "]}}\n";
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
    Load(Dataplane &dataplane, uint32_t classes, uint32_t flows) : maps_(dataplane.maps()) {
        const uint32_t base = dataplane.class_base(), buckets = maps_.touched.size() * 64;
        for (uint32_t i = 0; i < classes * flows && i < buckets; i++) {
            sluice_flow &f = maps_.flow(i);
            f.tag = i + 1;
            f.class_id = static_cast<uint16_t>(base + kClasses + i % classes); // not those of tenant `other`
            f.listed = 1;
            f.scale = 1;
            count_++;
        }
        feed();
        for (uint32_t i = 0; i < count_; i++)
            maps_.touched[i / 64] |= 1ull << (i % 64);
    }
    // As if each flow had sent what it does in 10 ms: together twice what the port can send.
    void feed() {
        const uint64_t bytes = std::max(1500u, 2'500'000 / count_);
        for (uint32_t i = 0; i < count_; i++) {
            sluice_flow &f = maps_.flow(i);
            f.finish += bytes;
            maps_.class_counts[f.class_id * maps_.cpus].admitted_bytes += bytes;
        }
    }
    uint32_t count() const { return count_; }

  private:
    Maps &maps_;
    uint32_t count_ = 0;
};

Result<Json> measure(uint32_t tenants, uint32_t flows, double seconds) {
    LoadResult loaded = load_policy_text(policy_text(tenants), "bench");
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
    Load load(**dataplane, tenants * kClasses, flows);
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
    return Json{{"tenants", tenants},
                {"classes", tenants * kClasses},
                {"flows", load.count()},
                {"tick_us", used_ns / done / 1e3},
                {"period_ms", wall_ns / done / 1e6},
                {"core_percent", 100 * used_ns / wall_ns},
                {"load_ms", ms(start, loaded_at)},
                {"attach_ms", ms(loaded_at, attached_at)},
                {"reload_ms", ms(attached_at, reloaded_at)},
                {"map_bytes", map_bytes((*dataplane)->maps())},
                {"map_bytes_per_tenant", map_bytes((*dataplane)->maps()) / tenants}};
}

Result<> run(double seconds, const std::string &json) {
    if (const auto world = enter_world(); !world)
        return tl::unexpected(world.error());
    Json rows = Json::array();
    std::printf("%8s %8s %8s %9s %10s %7s %8s %10s %10s %13s\n", "tenants", "classes", "flows", "tick us",
                "period ms", "core %", "load ms", "attach ms", "reload ms", "bytes/tenant");
    for (const auto &[tenants, flows] :
         {std::pair{1u, 4u}, {10u, 4u}, {100u, 4u}, {1000u, 4u}, {2000u, 2u}}) {
        const auto row = measure(tenants, flows, seconds);
        if (!row)
            return tl::unexpected(row.error());
        const auto figure = [&](const char *key) { return (*row)[key].get<double>(); };
        std::printf("%8u %8u %8.0f %9.1f %10.2f %7.2f %8.1f %10.1f %10.1f %13.0f\n", tenants,
                    tenants * kClasses, figure("flows"), figure("tick_us"), figure("period_ms"),
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
    CLI::App app{"CPU and memory of the control loop by tenants, classes and flows, all busy"};
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
