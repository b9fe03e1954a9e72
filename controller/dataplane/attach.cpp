#include "dataplane/attach.hpp"

#include <cerrno>
#include <cstring>
#include <linux/if_link.h>

#include "dataplane/xdp_query.hpp"

namespace sluice {

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

Result<Fd> attach_xdp(const Fd &program, PortFacts &facts) {
    struct XdpMode {
        uint32_t flag;
        const char *name;
    };
    int err = 0;
    for (XdpMode mode : {XdpMode{XDP_FLAGS_DRV_MODE, "native"}, XdpMode{XDP_FLAGS_SKB_MODE, "generic"}}) {
        LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = mode.flag);
        Fd link(bpf_link_create(program.get(), static_cast<int>(facts.dev.ifindex), BPF_XDP, &opts));
        err = errno;
        if (link) {
            note_xdp_mode(facts, mode.name);
            return link;
        }
        if (err == EBUSY || err == EEXIST) // EEXIST: there is one in the other mode
            break;
    }
    const std::string other = describe_xdp(facts.dev.ifindex);
    if (other.empty())
        return fail_errno(err, "attach XDP to " + facts.dev.name);
    return fail_busy("attach XDP to " + facts.dev.name + ": another XDP program is there and stays: " + other,
                     "detach it with the tool that attached it (`bpftool net show dev " + facts.dev.name +
                         "`); if it is of an earlier sluiced: `sluicectl unload`");
}

void note_xdp_mode(PortFacts &facts, const char *mode) {
    facts.xdp_mode = mode;
    if (std::strcmp(mode, "generic") == 0)
        facts.degraded = "driver " + facts.dev.driver + " has no native XDP: generic mode, slow";
}

} // namespace sluice
