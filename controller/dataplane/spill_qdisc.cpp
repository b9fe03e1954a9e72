#include "dataplane/spill_qdisc.hpp"

#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <utility>

namespace sluice {
namespace {

// Handles by which we know our own: 5107: the bucket, 5108: the queue in it.
constexpr uint32_t kBucket = 0x51070000, kQueue = 0x51080000;
constexpr uint64_t kBurst_ns = 1'000'000; // what may leave at once: timers are no better
constexpr uint32_t kBurstFrames = 2;

void address(NetlinkRequest &request, const SpillQdisc::Config &config, uint32_t parent, uint32_t handle) {
    auto *tc = request.family<tcmsg>();
    tc->tcm_family = AF_UNSPEC;
    tc->tcm_ifindex = static_cast<int>(config.ifindex);
    tc->tcm_parent = parent;
    tc->tcm_handle = handle;
}

} // namespace

SpillQdisc::SpillQdisc(SpillQdisc &&other) noexcept
    : config_(std::move(other.config_)), netlink_(std::move(other.netlink_)),
      made_(std::exchange(other.made_, false)) {}

SpillQdisc::~SpillQdisc() {
    if (made_)
        (void)remove(); // a device that is gone took its qdisc along
}

Result<SpillQdisc> SpillQdisc::open(const Config &config) {
    auto netlink = Netlink::open(NETLINK_ROUTE);
    if (!netlink)
        return tl::unexpected(netlink.error());
    return SpillQdisc(config, std::move(*netlink));
}

Result<> SpillQdisc::talk(NetlinkRequest &request, const Netlink::OnMessage &on_message, const char *what) {
    if (const int err = netlink_.ask(request, on_message))
        return fail_errno(err, std::string(what) + " of " + config_.device,
                          err == ENOENT
                              ? "this kernel lacks that kind of qdisc (module sch_tbf, or the one that "
                                "`spill` names): choose another `qdisc`"
                              : "");
    return {};
}

Result<RootQdisc> SpillQdisc::root() {
    RootQdisc found; // before Linux 6.8 only an echo answers who asks
    NetlinkRequest ask(RTM_GETQDISC, NLM_F_ECHO);
    address(ask, config_, TC_H_ROOT, 0);
    auto asked = talk(
        ask,
        [&](const nlmsghdr *reply) {
            if (reply->nlmsg_type == RTM_NEWQDISC)
                found = qdisc_of(reply);
        },
        "ask for the root qdisc");
    if (!asked)
        return tl::unexpected(asked.error());
    return found;
}

// Bytes are counted as sluice counts them, but for the smallest frame.
Result<> SpillQdisc::shape(uint64_t bytes_per_s, uint16_t flags) {
    NetlinkRequest change(RTM_NEWQDISC, flags);
    address(change, config_, TC_H_ROOT, kBucket);
    nlmsghdr *h = change.header();
    tc_tbf_qopt options{};
    options.rate.linklayer = TC_LINKLAYER_ETHERNET;
    options.rate.overhead = static_cast<uint16_t>(config_.overhead);
    options.rate.rate = static_cast<uint32_t>(std::min<uint64_t>(bytes_per_s, ~0u));
    options.limit = config_.queue.limit; // the kernel gives it to a fifo under the bucket
    mnl_attr_put_strz(h, TCA_KIND, "tbf");
    nlattr *nest = mnl_attr_nest_start(h, TCA_OPTIONS);
    mnl_attr_put(h, TCA_TBF_PARMS, sizeof(options), &options);
    const uint64_t burst =
        std::max<uint64_t>(kBurstFrames * config_.mtu_bytes, bytes_per_s * kBurst_ns / 1'000'000'000);
    mnl_attr_put_u32(h, TCA_TBF_BURST, static_cast<uint32_t>(burst));
    if (bytes_per_s > std::numeric_limits<uint32_t>::max())
        mnl_attr_put_u64(h, TCA_TBF_RATE64, bytes_per_s);
    mnl_attr_nest_end(h, nest);
    return talk(
        change, [](const nlmsghdr *) {}, "set the rate of the spill qdisc");
}

Result<> SpillQdisc::add_queue() {
    NetlinkRequest add(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE);
    address(add, config_, kBucket + 1, kQueue);
    nlmsghdr *h = add.header();
    if (config_.queue.kind == SpillKind::pfifo) {
        const tc_fifo_qopt options{config_.queue.limit};
        mnl_attr_put_strz(h, TCA_KIND, "pfifo");
        mnl_attr_put(h, TCA_OPTIONS, sizeof(options), &options);
    } else {
        mnl_attr_put_strz(h, TCA_KIND, "fq_codel");
        nlattr *nest = mnl_attr_nest_start(h, TCA_OPTIONS);
        mnl_attr_put_u32(h, TCA_FQ_CODEL_LIMIT, config_.queue.limit);
        mnl_attr_put_u32(h, TCA_FQ_CODEL_ECN, 1);
        mnl_attr_nest_end(h, nest);
    }
    return talk(
        add, [](const nlmsghdr *) {}, "add the queue of the spill qdisc");
}

Result<> SpillQdisc::remove() {
    const auto now = root();
    if (!now || now->handle != kBucket)
        return {};
    NetlinkRequest gone(RTM_DELQDISC, 0);
    address(gone, config_, TC_H_ROOT, kBucket);
    return talk(
        gone, [](const nlmsghdr *) {}, "remove the spill qdisc");
}

Result<SpillQdisc> SpillQdisc::make(const Config &config, uint64_t bytes_per_s) {
    auto opened = open(config);
    if (!opened)
        return opened;
    SpillQdisc &qdisc = *opened;
    const auto there = qdisc.root();
    if (!there)
        return tl::unexpected(there.error());
    if (there->handle != 0 && there->handle != kBucket)
        return fail("device " + config.device + " has a root qdisc of somebody else: " + there->kind,
                    "remove it (`tc qdisc del dev " + config.device + " root`), or leave `spill` out");
    auto made = qdisc.shape(bytes_per_s, NLM_F_CREATE | NLM_F_REPLACE);
    if (!made)
        return tl::unexpected(made.error());
    qdisc.made_ = true;
    if (auto queued = qdisc.add_queue(); !queued)
        return tl::unexpected(queued.error());
    return opened;
}

Result<> SpillQdisc::remove_left(uint32_t ifindex, const std::string &device) {
    auto qdisc = open({.ifindex = ifindex, .device = device, .queue = {}});
    return qdisc ? qdisc->remove() : Result<>(tl::unexpected(qdisc.error()));
}

Result<> SpillQdisc::set_rate(uint64_t bytes_per_s) {
    return shape(bytes_per_s, 0);
}

Result<QdiscStats> SpillQdisc::stats() {
    const auto now = root();
    if (!now)
        return tl::unexpected(now.error());
    if (now->handle != kBucket)
        return fail("the spill qdisc of " + config_.device + " is gone: the root is now " +
                        (now->kind.empty() ? "the kernel's default" : now->kind),
                    "restart sluiced, or leave `spill` out");
    return now->stats;
}

} // namespace sluice
