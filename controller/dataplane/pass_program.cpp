#include "dataplane/pass_program.hpp"

#include <cerrno>
#include <linux/bpf.h>
#include <linux/if_link.h>

#include <bpf/bpf.h>

namespace sluice {

Result<Fd> attach_pass_program(const Netdev &dev) {
    const bpf_insn pass[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .src_reg = 0, .off = 0, .imm = XDP_PASS},
        {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
    };
    LIBBPF_OPTS(bpf_prog_load_opts, load, .prog_flags = BPF_F_XDP_HAS_FRAGS);
    const Fd program(bpf_prog_load(BPF_PROG_TYPE_XDP, "sluice_pass", "GPL", pass, std::size(pass), &load));
    if (!program)
        return fail_errno(errno, "load the pass program for " + dev.name);
    LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = XDP_FLAGS_DRV_MODE);
    Fd link(bpf_link_create(program.get(), static_cast<int>(dev.ifindex), BPF_XDP, &opts));
    if (!link)
        return fail_errno(errno, "attach the pass program to " + dev.name);
    return link;
}

} // namespace sluice
