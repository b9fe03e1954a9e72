#include "dataplane/attach.hpp"

#include <cerrno>
#include <linux/if_link.h>
#include <string_view>

#include "dataplane/xdp_query.hpp"

namespace sluice {
namespace {

struct XdpMode {
    XdpChoice choice;
    uint32_t flag;
    const char *name; // as xdp_mode() says
};
constexpr XdpMode modes[] = {{XdpChoice::native, XDP_FLAGS_DRV_MODE, "native"},
                             {XdpChoice::generic, XDP_FLAGS_SKB_MODE, "generic"}};

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

Result<Fd> attach_xdp(const Fd &program, PortFacts &facts, XdpChoice choice) {
    int err = 0;
    for (const XdpMode &mode : modes) {
        if (choice != XdpChoice::automatic && choice != mode.choice)
            continue;
        LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = mode.flag);
        Fd link(bpf_link_create(program.get(), static_cast<int>(facts.dev.ifindex), BPF_XDP, &opts));
        err = errno;
        if (link) {
            facts.xdp_mode = mode.name;
            return link;
        }
        if (err == EBUSY || err == EEXIST) // EEXIST: there is one in the other mode
            break;
    }
    const std::string other = describe_xdp(facts.dev.ifindex);
    if (!other.empty())
        return fail_busy("attach XDP to " + facts.dev.name +
                             ": another XDP program is there and stays: " + other,
                         "detach it with the tool that attached it (`bpftool net show dev " + facts.dev.name +
                             "`); if it is of an earlier sluiced: `sluicectl unload`");
    if (choice == XdpChoice::native)
        return fail_errno(err, "attach XDP to " + facts.dev.name + " in native mode", native_cure(facts));
    return fail_errno(err, "attach XDP to " + facts.dev.name);
}

Result<> check_xdp_mode(const PortFacts &facts, XdpChoice choice) {
    const std::string_view attached = xdp_mode(facts.dev.ifindex);
    for (const XdpMode &mode : modes)
        if (choice == mode.choice && !attached.empty() && attached != mode.name)
            return fail_busy("XDP of " + facts.dev.name + " is attached in " + std::string(attached) +
                                 " mode, the policy wants " + mode.name +
                                 ": the mode does not change while attached",
                             "stop sluiced, `sluicectl unload`, start it again; or `xdp: auto`, which stays "
                             "in the mode as it is");
    return {};
}

} // namespace sluice
