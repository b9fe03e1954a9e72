#include "dataplane/spill_qdisc.hpp"

#include <libmnl/libmnl.h>
#include <linux/gen_stats.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <limits>
#include <utility>

namespace sluice {
namespace {

// Handles by which we know our own: 5107: the bucket, 5108: the queue in it.
constexpr uint32_t kBucket = 0x51070000, kQueue = 0x51080000;
constexpr uint64_t kBurst_ns = 1'000'000; // what may leave at once: timers are no better
constexpr uint32_t kBurstFrames = 2;

using Buffer = std::array<char, 8192>;

nlmsghdr *begin(Buffer &buffer, uint16_t type, uint16_t flags, const SpillQdisc::Config &config,
                uint32_t parent, uint32_t handle) {
    nlmsghdr *h = mnl_nlmsg_put_header(buffer.data());
    h->nlmsg_type = type;
    h->nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
    auto *tc = static_cast<tcmsg *>(mnl_nlmsg_put_extra_header(h, sizeof(tcmsg)));
    tc->tcm_family = AF_UNSPEC;
    tc->tcm_ifindex = static_cast<int>(config.ifindex);
    tc->tcm_parent = parent;
    tc->tcm_handle = handle;
    return h;
}

// The kernel's structure may be shorter or longer than the one we were built with.
template <class T> T payload(const nlattr *a) {
    T out{};
    std::memcpy(&out, mnl_attr_get_payload(a), std::min<size_t>(mnl_attr_get_payload_len(a), sizeof(out)));
    return out;
}

int read_stats(const nlattr *a, void *to) {
    auto *out = static_cast<SpillQdiscStats *>(to);
    if (mnl_attr_get_type(a) == TCA_STATS_BASIC) {
        const auto basic = payload<gnet_stats_basic>(a);
        out->sent_bytes = basic.bytes;
        out->sent_packets = basic.packets;
    } else if (mnl_attr_get_type(a) == TCA_STATS_QUEUE) {
        const auto queue = payload<gnet_stats_queue>(a);
        out->waiting_packets = queue.qlen;
        out->waiting_bytes = queue.backlog;
        out->drops = queue.drops;
    }
    return MNL_CB_OK;
}

} // namespace

void SpillQdisc::SocketCloser::operator()(mnl_socket *s) const {
    mnl_socket_close(s);
}

SpillQdisc::SpillQdisc(SpillQdisc &&other) noexcept
    : config_(std::move(other.config_)), socket_(std::move(other.socket_)), sequence_(other.sequence_),
      made_(std::exchange(other.made_, false)) {}

SpillQdisc::~SpillQdisc() {
    if (made_)
        (void)remove(); // a device that is gone took its qdisc along
}

Result<> SpillQdisc::open() {
    socket_.reset(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC));
    if (!socket_ || mnl_socket_bind(socket_.get(), 0, MNL_SOCKET_AUTOPID) < 0)
        return fail_errno(errno, "open a netlink socket for the qdisc of " + config_.device);
    return {};
}

int SpillQdisc::read_root(const nlmsghdr *reply, void *to) {
    auto *out = static_cast<Root *>(to);
    if (reply->nlmsg_type != RTM_NEWQDISC || !out)
        return MNL_CB_OK;
    out->handle = static_cast<const tcmsg *>(mnl_nlmsg_get_payload(reply))->tcm_handle;
    static constexpr auto read = [](const nlattr *a, void *data) -> int {
        auto *root = static_cast<Root *>(data);
        if (mnl_attr_get_type(a) == TCA_KIND)
            root->kind = mnl_attr_get_str(a);
        else if (mnl_attr_get_type(a) == TCA_STATS2)
            mnl_attr_parse_nested(a, read_stats, &root->stats);
        return MNL_CB_OK;
    };
    return mnl_attr_parse(reply, sizeof(tcmsg), read, out);
}

// Sends one request and takes all that belongs to its answer; a qdisc in it goes to `answer`.
Result<> SpillQdisc::talk(void *message, Root *answer, const char *what) {
    auto *h = static_cast<nlmsghdr *>(message);
    h->nlmsg_seq = ++sequence_;
    if (mnl_socket_sendto(socket_.get(), h, h->nlmsg_len) < 0)
        return fail_errno(errno, std::string(what) + " of " + config_.device);
    Buffer reply;
    for (int more = MNL_CB_OK; more > MNL_CB_STOP;) {
        const ssize_t n = mnl_socket_recvfrom(socket_.get(), reply.data(), reply.size());
        more = n < 0 ? -1
                     : mnl_cb_run(reply.data(), static_cast<size_t>(n), h->nlmsg_seq,
                                  mnl_socket_get_portid(socket_.get()), read_root, answer);
        if (more < 0)
            return fail_errno(errno, std::string(what) + " of " + config_.device,
                              errno == ENOENT
                                  ? "this kernel lacks that kind of qdisc (module sch_tbf, or the one that "
                                    "`spill` names): choose another `qdisc`"
                                  : "");
    }
    return {};
}

Result<SpillQdisc::Root> SpillQdisc::root() {
    Buffer buffer;
    Root found; // before Linux 6.8 only an echo answers who asks
    auto asked = talk(begin(buffer, RTM_GETQDISC, NLM_F_ECHO, config_, TC_H_ROOT, 0), &found,
                      "ask for the root qdisc");
    if (!asked)
        return tl::unexpected(asked.error());
    return found;
}

// Bytes are counted as sluice counts them, but for the smallest frame.
Result<> SpillQdisc::shape(uint64_t bytes_per_s, uint16_t flags) {
    Buffer buffer;
    nlmsghdr *h = begin(buffer, RTM_NEWQDISC, flags, config_, TC_H_ROOT, kBucket);
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
    return talk(h, nullptr, "set the rate of the spill qdisc");
}

Result<> SpillQdisc::add_queue() {
    Buffer buffer;
    nlmsghdr *h = begin(buffer, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, config_, kBucket + 1, kQueue);
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
    return talk(h, nullptr, "add the queue of the spill qdisc");
}

Result<> SpillQdisc::remove() {
    const auto now = root();
    if (!now || now->handle != kBucket)
        return {};
    Buffer buffer;
    return talk(begin(buffer, RTM_DELQDISC, 0, config_, TC_H_ROOT, kBucket), nullptr,
                "remove the spill qdisc");
}

Result<SpillQdisc> SpillQdisc::make(const Config &config, uint64_t bytes_per_s) {
    SpillQdisc qdisc(config);
    if (auto opened = qdisc.open(); !opened)
        return tl::unexpected(opened.error());
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
    return qdisc;
}

Result<> SpillQdisc::remove_left(uint32_t ifindex, const std::string &device) {
    SpillQdisc qdisc({.ifindex = ifindex, .device = device, .queue = {}});
    return qdisc.open().and_then([&] { return qdisc.remove(); });
}

Result<> SpillQdisc::set_rate(uint64_t bytes_per_s) {
    return shape(bytes_per_s, 0);
}

Result<SpillQdiscStats> SpillQdisc::stats() {
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
