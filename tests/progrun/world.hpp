// A private network namespace with a fast veth and a slow TAP, and sluice's real dataplane between them:
// policy text in, frames through BPF_PROG_TEST_RUN, outcomes and bytes out. Nothing leaves the namespace.
#pragma once

#include <sluice/abi.h>

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <string>

#include "core/fd.hpp"
#include "dataplane/dataplane.hpp"
#include "packet.hpp"

namespace sluice::progrun {

constexpr uint32_t kLan = 0, kWan = 1; // port indices of the policies here
constexpr uint32_t kSlowMtu = 1400;
constexpr uint64_t kHuge = ~0ull >> 2;

// XDP verdicts, as the kernel numbers them.
enum : uint32_t { kAborted = 0, kDrop, kPass, kTx, kRedirect };

struct Reply {
    uint32_t verdict = kAborted;
    Frame out;
};

// Counters of everything, summed over CPUs: outcome() differences are what a frame became.
struct Totals {
    std::array<uint64_t, SLUICE_OUTCOMES> outcome{}; // of classes, and of the port what no class decides
    std::array<uint64_t, SLUICE_OUTCOMES> of_port{}; // of the port the frames came in by
    std::array<uint64_t, SLUICE_WOULDS> would{};
    uint64_t received = 0, received_bytes = 0, admitted_bytes = 0;
};

struct WorldOptions {
    std::string policy; // YAML behind `ports:`; see kFib and kXconnect
    std::string wan = "{device: slow}";
    Hook hook = Hook::tracepoint;
    uint32_t txqueuelen = 1000;
    int tap_queues = 1;
    std::string slow_kind =
        "tap"; // or "veth", or "virtio": the device of a guest that $SLUICE_VIRTIO_DEVICE names
    uint32_t slow_mtu = kSlowMtu;
    uint32_t fast_mtu = 1500;
    bool silent_slow = false; // no IPv6 on the slow port: the stack sends nothing of its own through its ring
};

extern const char *const kFib;
extern const char *const kXconnect;

class World {
  public:
    // Makes the namespace and loads everything; adds a test failure and returns null when that goes wrong.
    static std::unique_ptr<World> make(const WorldOptions &options);

    Maps &maps() { return dataplane->maps(); }
    Reply run(const Frame &frame);
    // `frames` copies through the stack's real redirect, in bulks as NAPI makes them. Runs are short: the
    // kernel recycles the pages of lost frames within a run, with the bytes as the program left them.
    void run_live(const Frame &frame, uint32_t frames, uint32_t batch = 64);
    Totals totals();

    // Everybody is admitted, all flows and laws forgotten.
    void reset();
    sluice_class &klass(uint32_t index = 0) { return maps().classes[dataplane->class_base() + index]; }
    sluice_share &share(uint32_t index = 0) { return klass(index).share[klass(index).current & 1]; }
    // A flow that is not young any more must wait `lag` bytes at 1 us per byte; the class clock stands still.
    void set_lag(sluice_flow &flow, uint64_t lag);
    sluice_tx &tx() { return maps().tx[kWan * maps().cpus + 0]; }
    // Bucket of the flow of `frame`: sends it once, so counters move. Requires an open class.
    uint32_t bucket_of(const Frame &frame);
    sluice_flow &flow_of(const Frame &frame) { return maps().flow(bucket_of(frame)); }

    void delete_devmap_entry(uint32_t port);
    void restore_devmap_entry(uint32_t port);
    static uint32_t ifindex_of(const char *name);
    // VLAN interfaces, which this kernel may not be able to make: `ifindex` stands for what has the tags of
    // build() on the port `device`. Both directions, as the daemon enters them; make() enters the fast port
    // itself for both kinds of tags.
    void enter_vlan(uint32_t device, int tags, uint32_t ifindex);
    void forget_vlans();
    void know_vlans();
    int map_fd(const std::string &name);                // of a map that the ingress program uses
    bool read_tap(int queue = 0, Frame *out = nullptr); // one frame; false when there is none

    std::unique_ptr<Dataplane> dataplane;
    CompiledPolicy policy;
    std::array<Fd, 4> tap;
    uint32_t fast_ifindex = 0, slow_ifindex = 0;

  private:
    bool create_namespace(const WorldOptions &options);
    bool open_tap(const WorldOptions &options);
    bool make_slow(const WorldOptions &options);
    bool take_virtio();
    bool allow_xdp_xmit();
    bool load(const WorldOptions &options);

    Fd program_, egress_pass_; // the latter on a virtio device
};

// False before kernel 6.2: what a test of the devmap hook needs is not there.
bool devmap_hook_works();

uint64_t monotonic_now_ns();
bool shell(const std::string &command); // in the current namespace; false on a non-zero exit

} // namespace sluice::progrun
