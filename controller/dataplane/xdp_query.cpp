#include "dataplane/xdp_query.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>

#include <cerrno>
#include <map>
#include <memory>
#include <net/if.h>
#include <optional>

#include "core/fd.hpp"

namespace sluice {
namespace {

struct Attached {
    uint32_t id = 0;
    const char *mode = "";
};

Attached query(uint32_t ifindex) {
    LIBBPF_OPTS(bpf_xdp_query_opts, opts);
    if (bpf_xdp_query(static_cast<int>(ifindex), 0, &opts) != 0 || opts.attach_mode == XDP_ATTACHED_NONE)
        return {};
    if (opts.attach_mode == XDP_ATTACHED_SKB)
        return {opts.skb_prog_id, "generic"};
    if (opts.attach_mode == XDP_ATTACHED_HW)
        return {opts.hw_prog_id, "offloaded"};
    return {opts.drv_prog_id ? opts.drv_prog_id : opts.prog_id, "native"};
}

std::string program_name(uint32_t id) {
    const Fd program(bpf_prog_get_fd_by_id(id));
    bpf_prog_info info{};
    uint32_t length = sizeof(info);
    if (!program || bpf_obj_get_info_by_fd(program.get(), &info, &length) != 0)
        return "";
    return info.name;
}

// Id of the link that attached it, 0: none did, so it was netlink. Nothing: we may not look.
std::optional<uint32_t> link_at(uint32_t ifindex) {
    uint32_t id = 0;
    while (bpf_link_get_next_id(id, &id) == 0) {
        const Fd link(bpf_link_get_fd_by_id(id));
        if (!link && errno == ENOENT)
            continue; // it went meanwhile
        if (!link)
            return std::nullopt;
        bpf_link_info info{};
        uint32_t length = sizeof(info);
        if (bpf_obj_get_info_by_fd(link.get(), &info, &length) == 0 && info.type == BPF_LINK_TYPE_XDP &&
            info.xdp.ifindex == ifindex)
            return id;
    }
    return errno == ENOENT ? std::optional(0u) : std::nullopt;
}

std::string describe(uint32_t ifindex, const Attached &attached) {
    const std::string name = program_name(attached.id);
    std::string text = "program " + (name.empty() ? "" : "\"" + name + "\" ") + "(id " +
                       std::to_string(attached.id) + ", " + attached.mode + " mode";
    if (const auto link = link_at(ifindex))
        text += *link ? ", by link " + std::to_string(*link) : ", by netlink";
    return text + ")";
}

// By program id: as they were described while that was still allowed.
std::map<uint32_t, std::string> &known() {
    static std::map<uint32_t, std::string> all;
    return all;
}

} // namespace

const char *xdp_mode(uint32_t ifindex) {
    return query(ifindex).mode;
}

void note_xdp_programs() {
    struct Free {
        void operator()(struct if_nameindex *list) const { if_freenameindex(list); }
    };
    const std::unique_ptr<struct if_nameindex, Free> all(if_nameindex());
    for (const auto *i = all.get(); i && i->if_index; i++)
        if (const Attached attached = query(i->if_index); attached.id)
            known()[attached.id] = describe(i->if_index, attached);
}

std::string describe_xdp(uint32_t ifindex) {
    const Attached attached = query(ifindex);
    if (!attached.id)
        return "";
    const auto found = known().find(attached.id);
    return found == known().end() ? describe(ifindex, attached) : found->second;
}

} // namespace sluice
