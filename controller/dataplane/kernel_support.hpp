// What the running kernel can do for sluice at all.
#pragma once

#include <string>
#include <vector>

namespace sluice {

struct KernelSupport {
    std::string release;
    bool types = false;               // BTF in /sys/kernel/btf/vmlinux
    bool typed_reads = false;         // bpf_rdonly_cast(), 6.2: rings are read under lockdown too
    bool xdp_features = false;        // netlink family `netdev`, 6.3: drivers say what they can do
    bool tcx = false;                 // tc programs by link, 6.6
    std::string lockdown;             // "none", "integrity", "confidentiality"; empty: not built in
    std::vector<std::string> missing; // without which nothing works

    bool supported() const { return missing.empty(); }
};

// What needs privileges to be found out is believed to be there without them.
KernelSupport kernel_support();

} // namespace sluice
