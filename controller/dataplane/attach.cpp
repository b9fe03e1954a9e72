#include "dataplane/attach.hpp"

#include <cerrno>
#include <cstring>
#include <linux/if_link.h>

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
            facts.xdp_mode = mode.name;
            if (std::strcmp(mode.name, "generic") == 0)
                facts.degraded = "driver " + facts.dev.driver + " has no native XDP: generic mode, slow";
            return link;
        }
        if (err == EBUSY)
            break;
    }
    return fail_errno(err, "attach XDP to " + facts.dev.name,
                      err == EBUSY
                          ? "another XDP program is there; see `bpftool net show dev " + facts.dev.name + "`"
                          : "");
}

} // namespace sluice
