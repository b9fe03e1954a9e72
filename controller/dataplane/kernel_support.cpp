#include "dataplane/kernel_support.hpp"

#include <fstream>
#include <linux/netlink.h>
#include <memory>
#include <sys/utsname.h>

#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "dataplane/libbpf_log.hpp"
#include "dataplane/xdp_features.hpp"

namespace sluice {
namespace {

struct BtfDeleter {
    void operator()(btf *b) const { btf__free(b); }
};

// The word in brackets of "none [integrity] confidentiality".
std::string lockdown_mode() {
    std::ifstream file("/sys/kernel/security/lockdown");
    std::string text;
    std::getline(file, text);
    const auto begin = text.find('['), end = text.find(']');
    return begin == std::string::npos || end < begin ? "" : text.substr(begin + 1, end - begin - 1);
}

void ask_types(KernelSupport &k) {
    const std::unique_ptr<btf, BtfDeleter> types(btf__parse("/sys/kernel/btf/vmlinux", nullptr));
    k.types = types != nullptr;
    if (!types)
        return;
    k.typed_reads = btf__find_by_name_kind(types.get(), "bpf_rdonly_cast", BTF_KIND_FUNC) > 0;
    k.tcx = btf__find_by_name_kind(types.get(), "tcx_entry", BTF_KIND_STRUCT) > 0;
}

// Everything that the programs call of the kernel's is in 6.1; each with the version that brought it.
void ask_bpf(KernelSupport &k) {
    struct Needed {
        bpf_prog_type type;
        bpf_func_id helper;
        const char *what;
    };
    for (const Needed &n :
         {Needed{BPF_PROG_TYPE_XDP, BPF_FUNC_xdp_get_buff_len, "XDP multi-buffer helpers (5.18)"},
          Needed{BPF_PROG_TYPE_SYSCALL, BPF_FUNC_loop, "bpf_loop() in syscall programs (5.17)"}})
        if (libbpf_probe_bpf_helper(n.type, n.helper, nullptr) == 0)
            k.missing.emplace_back(n.what);
}

bool has_netdev_family() {
    auto netlink = Netlink::open(NETLINK_GENERIC);
    if (!netlink)
        return false;
    const auto family = generic_family(*netlink, "netdev", "mgmt");
    return family && family->has_value();
}

} // namespace

KernelSupport kernel_support() {
    const LibbpfLog quiet;
    KernelSupport k;
    utsname name{};
    if (uname(&name) == 0)
        k.release = name.release;
    ask_types(k);
    if (!k.types)
        k.missing.emplace_back("type information in /sys/kernel/btf/vmlinux (CONFIG_DEBUG_INFO_BTF)");
    ask_bpf(k);
    k.xdp_features = has_netdev_family();
    k.lockdown = lockdown_mode();
    return k;
}

} // namespace sluice
