#include "world.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <ctime>

#include "dataplane/ring_layout.hpp"
#include "limits.hpp"
#include "policy/load.hpp"

extern "C" unsigned if_nametoindex(const char *name); // <net/if.h> clashes with <linux/if.h>

namespace sluice::progrun {

const char *const kFib = R"(
transitions:
  - from: [lan]
    to: wan
    forward: fib
)";
const char *const kXconnect = R"(
transitions:
  - from: [lan]
    to: wan
    forward: xconnect
)";

bool devmap_hook_works() {
    const auto layout = running_ring_layout({});
    return layout && layout->read_by_cast;
}

uint64_t monotonic_now_ns() {
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(t.tv_nsec);
}

bool shell(const std::string &command) {
    return std::system(command.c_str()) == 0;
}

bool World::open_tap(const WorldOptions &options) {
    for (int i = 0; i < options.tap_queues; i++) {
        tap[static_cast<size_t>(i)] = Fd(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
        ifreq r{};
        std::strcpy(r.ifr_name, "slow");
        r.ifr_flags =
            static_cast<short>(IFF_TAP | IFF_NO_PI | (options.tap_queues > 1 ? IFF_MULTI_QUEUE : 0));
        if (ioctl(tap[static_cast<size_t>(i)].get(), TUNSETIFF, &r) != 0)
            return false;
    }
    return true;
}

// A virtio_net device of the guest, which the namespace before this one gives back when it has gone.
bool World::take_virtio() {
    const char *device = std::getenv("SLUICE_VIRTIO_DEVICE");
    return device &&
           shell("for i in 1 2 3 4 5 6 7 8 9 10; do for d in slow " + std::string(device) +
                 "; do nsenter --net=/proc/1/ns/net ip link set $d netns $$ 2>/dev/null || continue;"
                 " [ $d = slow ] || ip link set $d name slow; exit 0; done; sleep 0.2; done; exit 1");
}

// Some drivers take redirected frames only while they have an XDP program themselves: then they have queues
// for it.
bool World::allow_xdp_xmit() {
    uint32_t id = 0;
    if (bpf_xdp_query_id(static_cast<int>(slow_ifindex), 0, &id) == 0 && id)
        return true;
    const bpf_insn pass[] = {{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = kPass},
                             {.code = BPF_JMP | BPF_EXIT}};
    const Fd program(bpf_prog_load(BPF_PROG_TYPE_XDP, "pass", "GPL", pass, 2, nullptr));
    LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = XDP_FLAGS_DRV_MODE);
    egress_pass_ = Fd(bpf_link_create(program.get(), static_cast<int>(slow_ifindex), BPF_XDP, &opts));
    return static_cast<bool>(egress_pass_);
}

bool World::make_slow(const WorldOptions &options) {
    if (options.slow_kind == "virtio")
        return take_virtio();
    if (options.slow_kind == "veth")
        return shell("ip link add slow numrxqueues 1 type veth peer name slowpeer &&"
                     " ethtool -K slowpeer gro on && ip link set slowpeer up"); // gro: NAPI, needed for
                                                                                // ndo_xdp_xmit
    return open_tap(options);
}

bool World::create_namespace(const WorldOptions &options) {
    if (unshare(CLONE_NEWNET) != 0)
        return false;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    sched_setaffinity(0, sizeof(one), &one); // rows of per-CPU arrays are known
    return make_slow(options) &&
           shell("set -e; ip link set lo up;"
                 "ip link add fast numrxqueues 1 numtxqueues 1 type veth peer name fastpeer numrxqueues 1 "
                 "numtxqueues 1;"
                 "ip link add other address 02:00:00:00:03:01 type veth peer name otherpeer; ip link set "
                 "otherpeer up; ethtool -K "
                 "otherpeer gro on;"
                 "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 "
                 "net.ipv6.conf.all.router_solicitations=0;"
                 "for d in fastpeer otherpeer " +
                 std::string(options.silent_slow ? "slow" : "") +
                 "; do sysctl -qw net.ipv6.conf.$d.disable_ipv6=1; done;"
                 "for d in fast slow other; do sysctl -qw net.ipv6.conf.$d.addr_gen_mode=1; done;"
                 "ip link set fast address 02:00:00:00:01:01; ip link set slow address 02:00:00:00:02:01;"
                 "for d in fast fastpeer; do ip link set $d mtu " +
                 std::to_string(options.fast_mtu) +
                 "; done;"
                 "ip link set slow mtu " +
                 std::to_string(options.slow_mtu) + " txqueuelen " + std::to_string(options.txqueuelen) +
                 ";"
                 "for d in fast fastpeer slow other; do ip link set $d up; done;"
                 "ip addr add 10.1.0.1/24 dev fast; ip addr add 10.2.0.1/24 dev slow; ip addr add "
                 "10.3.0.1/24 dev other;"
                 "ip addr add fd01::1/64 dev fast nodad; ip addr add fd02::1/64 dev slow nodad 2>/dev/null "
                 "|| true;"
                 "ip addr add fd03::1/64 dev other nodad;"
                 "for a in 10.2.0.2 fd02::2; do ip neigh add $a lladdr 02:00:00:00:02:02 dev slow nud "
                 "permanent || true; done;"
                 "for a in 10.3.0.2 fd03::2; do ip neigh add $a lladdr 02:00:00:00:03:02 dev other nud "
                 "permanent; done;"
                 "ip link add lte address 02:00:00:00:04:01 type veth peer name ltepeer; ethtool -K ltepeer "
                 "gro on;"
                 "for d in lte ltepeer; do sysctl -qw net.ipv6.conf.$d.addr_gen_mode=1; ip link set $d up; "
                 "done;"
                 "ip addr add 10.4.0.1/24 dev lte; ip addr add fd04::1/64 dev lte nodad;"
                 "for a in 10.4.0.2 fd04::2; do ip neigh add $a lladdr 02:00:00:00:04:02 dev lte nud "
                 "permanent; done;"
                 "sleep 0.5"); // the stack's multicast reports are out before anything is counted
}

bool World::load(const WorldOptions &options) {
    const std::string text =
        "version: 1\nports:\n  lan: {device: fast}\n  wan: " + options.wan + "\n" + options.policy;
    LoadResult loaded = load_policy_text(text, "test.yaml");
    for (const auto &d : loaded.diagnostics)
        if (d.severity == Diagnostic::error)
            ADD_FAILURE() << "policy: " << d.message;
    if (!loaded.policy)
        return false;
    Dataplane::Options o;
    o.hook = options.hook;
    policy = compile(*loaded.policy);
    auto result = Dataplane::load(policy, o);
    if (!result) {
        ADD_FAILURE() << to_string(result.error());
        return false;
    }
    dataplane = std::move(*result);
    if (auto r = dataplane->attach(); !r) {
        ADD_FAILURE() << to_string(r.error());
        return false;
    }
    fast_ifindex = if_nametoindex("fast");
    slow_ifindex = if_nametoindex("slow");
    if (options.slow_kind == "virtio" && !allow_xdp_xmit())
        return false;
    uint32_t id = 0;
    if (bpf_xdp_query_id(static_cast<int>(fast_ifindex), 0, &id) != 0)
        return false;
    program_ = Fd(bpf_prog_get_fd_by_id(id));
    maps().control[0].heartbeat_ns = monotonic_now_ns();
    return static_cast<bool>(program_);
}

std::unique_ptr<World> World::make(const WorldOptions &options) {
    auto world = std::make_unique<World>();
    if (!world->create_namespace(options)) {
        ADD_FAILURE() << "cannot make the namespace: " << std::strerror(errno)
                      << " (needs root and /dev/net/tun)";
        return nullptr;
    }
    if (!world->load(options)) {
        ADD_FAILURE() << "cannot load the dataplane";
        return nullptr;
    }
    world->know_vlans();
    world->reset();
    return world;
}

Reply World::run(const Frame &frame) {
    Reply result;
    result.out.resize(frame.size() + 64);
    xdp_md ctx{};
    ctx.data_end = static_cast<uint32_t>(frame.size());
    ctx.ingress_ifindex = fast_ifindex;
    LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame.data(), .data_out = result.out.data(),
                .data_size_in = static_cast<uint32_t>(frame.size()),
                .data_size_out = static_cast<uint32_t>(result.out.size()), .ctx_in = &ctx,
                .ctx_size_in = sizeof(ctx), .repeat = 1);
    const int err = bpf_prog_test_run_opts(program_.get(), &opts);
    EXPECT_EQ(err, 0) << std::strerror(-err);
    result.verdict = opts.retval;
    result.out.resize(opts.data_size_out);
    return result;
}

void World::run_live(const Frame &frame, uint32_t frames, uint32_t batch) {
    if (frames > batch) {
        run_live(frame, batch, batch);
        return run_live(frame, frames - batch, batch);
    }
    xdp_md ctx{};
    ctx.data_end = static_cast<uint32_t>(frame.size());
    ctx.ingress_ifindex = fast_ifindex;
    LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame.data(),
                .data_size_in = static_cast<uint32_t>(frame.size()), .ctx_in = &ctx,
                .ctx_size_in = sizeof(ctx), .repeat = static_cast<int>(frames),
                .flags = BPF_F_TEST_XDP_LIVE_FRAMES);
    const int err = bpf_prog_test_run_opts(program_.get(), &opts);
    EXPECT_EQ(err, 0) << std::strerror(-err);
}

Totals World::totals() {
    Totals t;
    for (uint32_t cpu = 0; cpu < maps().cpus; cpu++) {
        for (uint32_t c = 0; c < maps().classes.size(); c++) {
            const sluice_class_count &count = maps().class_count(c, cpu);
            for (size_t o = 0; o < SLUICE_CLASS_OUTCOMES; o++)
                t.outcome[o] += count.outcome[o];
            for (size_t w = 0; w < SLUICE_WOULDS; w++)
                t.would[w] += count.would[w];
            t.admitted_bytes += count.admitted_bytes;
        }
        const sluice_port_count &count = maps().port_count(kLan, cpu);
        for (size_t o = 0; o < SLUICE_OUTCOMES; o++)
            t.of_port[o] += count.outcome[o];
        for (size_t o = SLUICE_CLASS_OUTCOMES; o < SLUICE_OUTCOMES; o++)
            t.outcome[o] += count.outcome[o];
        t.received += count.received_packets;
        t.received_bytes += count.received_bytes;
    }
    return t;
}

void World::reset() {
    for (auto &set : maps().flows)
        if (set.way[0].tag || set.way[1].tag || set.way[2].tag || set.way[3].tag)
            set = sluice_flow_set{};
    for (uint32_t c = 0; c < maps().class_rows(); c++)
        for (auto &s : klass(c).share) {
            s = sluice_share{};
            s.target_bytes = s.step_bytes = kHuge;
            set_limits(s, kHuge, kHuge);
        }
    tx().signals = 0;
    tx().empty_at_ns = 0;
    tx().guard = {};
    maps().control[0].heartbeat_ns = monotonic_now_ns();
    maps().control[0].wake = 0;
}

void World::set_lag(sluice_flow &flow, uint64_t lag) {
    sluice_share &s = share(flow.class_id - dataplane->class_base());
    s.bytes_per_ns = 0;
    s.ns_per_byte = 1000ull << 20;
    flow.finish = s.vt0 + lag;
    flow.bytes = 1ull << 40;
}

uint32_t World::bucket_of(const Frame &frame) {
    for (uint32_t set = 0; set < maps().flows.size(); set++)
        for (auto &f : maps().flows[set].way)
            f.packets = 0;
    EXPECT_EQ(run(frame).verdict, kRedirect);
    for (uint32_t b = 0; b < maps().touched.size() * 64; b++)
        if (maps().flow(b).packets)
            return b;
    ADD_FAILURE() << "no flow was charged";
    return 0;
}

int World::map_fd(const std::string &name) {
    uint32_t ids[64];
    bpf_prog_info info{};
    info.nr_map_ids = 64;
    info.map_ids = reinterpret_cast<uint64_t>(ids);
    uint32_t length = sizeof(info);
    if (bpf_obj_get_info_by_fd(program_.get(), &info, &length) != 0)
        return -1;
    for (uint32_t i = 0; i < info.nr_map_ids; i++) {
        const int fd = bpf_map_get_fd_by_id(ids[i]);
        bpf_map_info map{};
        length = sizeof(map);
        if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &map, &length) == 0 && name == map.name)
            return fd;
        close(fd);
    }
    return -1;
}

void World::delete_devmap_entry(uint32_t port) {
    const Fd map(map_fd("sl_devmap"));
    EXPECT_EQ(bpf_map_delete_elem(map.get(), &port), 0);
}

void World::restore_devmap_entry(uint32_t port) {
    const Fd map(map_fd("sl_devmap"));
    bpf_devmap_val entry{};
    entry.ifindex = port == kWan ? slow_ifindex : fast_ifindex;
    entry.bpf_prog.fd = -1;
    EXPECT_EQ(bpf_map_update_elem(map.get(), &port, &entry, BPF_ANY), 0);
}

uint32_t World::ifindex_of(const char *name) {
    return if_nametoindex(name);
}

void World::enter_vlan(uint32_t device, int tags, uint32_t ifindex) {
    const uint32_t inner = SLUICE_TAG(0x8100, 5);
    const sluice_place place{device, tags == 2 ? SLUICE_TAG(0x88a8, 7) | inner << 16 : inner};
    const sluice_place interface { ifindex, 0 };
    const Fd map(map_fd("sl_vlans"));
    EXPECT_EQ(bpf_map_update_elem(map.get(), &place, &interface, BPF_ANY), 0);
    EXPECT_EQ(bpf_map_update_elem(map.get(), &interface, &place, BPF_ANY), 0);
}

void World::forget_vlans() {
    const Fd map(map_fd("sl_vlans"));
    for (sluice_place key{}; bpf_map_get_next_key(map.get(), nullptr, &key) == 0;)
        EXPECT_EQ(bpf_map_delete_elem(map.get(), &key), 0);
}

void World::know_vlans() {
    for (const int tags : {1, 2})
        enter_vlan(fast_ifindex, tags, fast_ifindex);
}

bool World::read_tap(int queue, Frame *out) {
    uint8_t buffer[65536];
    const ssize_t n = ::read(tap[static_cast<size_t>(queue)].get(), buffer, sizeof(buffer));
    if (n > 0 && out)
        out->assign(buffer, buffer + n);
    return n > 0;
}

} // namespace sluice::progrun
