#include "dataplane/attach.hpp"

#include <cerrno>
#include <linux/if_link.h>
#include <string_view>

#include "dataplane/xdp_query.hpp"
#include "policy/names.hpp"

namespace sluice {
namespace {

struct XdpMode {
    XdpChoice choice;
    uint32_t flag;
    DispatcherMode dispatcher;
    const char *name; // for messages
};
constexpr XdpMode modes[] = {{XdpChoice::native, XDP_FLAGS_DRV_MODE, DispatcherMode::native, "native"},
                             {XdpChoice::generic, XDP_FLAGS_SKB_MODE, DispatcherMode::generic, "generic"}};
constexpr auto kTcxIngress = static_cast<bpf_attach_type>(46); // BPF_TCX_INGRESS, since Linux 6.6

std::string native_cure(const PortFacts &facts) {
    const std::string cure = "`xdp: auto` takes generic mode (slow)";
    if (facts.preflight.mtu_fits())
        return cure + ", or a card whose driver has XDP";
    return "ip link set " + facts.dev.name + " mtu " + std::to_string(facts.preflight.linear_mtu) + ", or " +
           cure;
}

} // namespace

Result<std::vector<Fd>> attach_tracepoints(const Instance &instance) {
    std::vector<Fd> links;
    struct Program {
        const Fd &fd;
        const char *name;
    };
    for (const Program &p : {Program{instance.devmap_xmit, "xdp_devmap_xmit"},
                             Program{instance.redirect_err, "xdp_redirect_err"}}) {
        Fd link(bpf_raw_tracepoint_open(nullptr, p.fd.get())); // the program knows its tracepoint
        if (!link)
            return fail_errno(errno, std::string("attach to tracepoint ") + p.name,
                              "needs CAP_BPF and CAP_PERFMON");
        links.push_back(std::move(link));
    }
    return links;
}

namespace {

Result<Attachment> attach_link(const Fd &program, const PortFacts &facts, const XdpMode &mode) {
    LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = mode.flag);
    Fd link(bpf_link_create(program.get(), static_cast<int>(facts.dev.ifindex), BPF_XDP, &opts));
    if (link)
        return Attachment(std::move(link));
    const int err = errno;
    // EEXIST: there is one in the other mode.
    const std::string other = err == EBUSY || err == EEXIST ? describe_xdp(facts.dev.ifindex) : std::string();
    if (!other.empty())
        return fail_busy(
            "attach XDP to " + facts.dev.name + ": another XDP program is there and stays: " + other,
            "detach it with the tool that attached it (`bpftool net show dev " + facts.dev.name +
                "`); if it is of an earlier sluiced: `sluicectl unload`; to share the interface with "
                "programs that libxdp loads: `attach: dispatcher`; without XDP: `xdp: tc`");
    return fail_errno(err, "attach XDP to " + facts.dev.name + " in " + mode.name + " mode",
                      mode.choice == XdpChoice::native ? native_cure(facts) : "");
}

Result<Attachment> attach_dispatched(const Fd &program, const PortFacts &facts, const XdpMode &mode) {
    return enter_dispatcher(program, facts.dev, mode.dispatcher, takes_frags(facts))
        .map([&](DispatcherSlot slot) { return Attachment(std::move(slot), facts.dev.ifindex); });
}

} // namespace

Result<Attachment> attach_xdp(const Fd &program, const PortFacts &facts, const Port &port) {
    Result<Attachment> at;
    for (const XdpMode &mode : modes) {
        if (port.xdp != XdpChoice::automatic && port.xdp != mode.choice)
            continue;
        at = port.attach == AttachChoice::dispatcher ? attach_dispatched(program, facts, mode)
                                                     : attach_link(program, facts, mode);
        if (at || at.error().kind == ErrorKind::busy)
            break;
    }
    return at;
}

Result<Attachment> attach_tc(const Fd &program, const PortFacts &facts) {
    Fd link(bpf_link_create(program.get(), static_cast<int>(facts.dev.ifindex), kTcxIngress, nullptr));
    if (const int err = errno; !link)
        return fail_errno(err, "attach to tc ingress of " + facts.dev.name);
    return Attachment(std::move(link));
}

Result<> check_attachment(const Attachment &at, const PortFacts &facts, const Port &port) {
    const std::string cure = "stop sluiced, `sluicectl unload`, start it again";
    if (at.dispatched() != (port.attach == AttachChoice::dispatcher))
        return fail_busy("XDP of " + facts.dev.name + " is attached " +
                             (at.dispatched() ? "in the dispatcher" : "directly") +
                             ", the policy wants it otherwise: that does not change while attached",
                         cure);
    const std::string_view attached = at.mode(), wanted = xdp_words[static_cast<size_t>(port.xdp)];
    if (port.xdp != XdpChoice::automatic && !attached.empty() && attached != wanted)
        return fail_busy("XDP of " + facts.dev.name + " is attached in " + std::string(attached) +
                             " mode, the policy wants " + std::string(wanted) +
                             ": the mode does not change while attached",
                         cure + "; or `xdp: auto`, which stays in the mode as it is");
    return {};
}

} // namespace sluice
