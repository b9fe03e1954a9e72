#include "dataplane/dispatcher.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include <dlfcn.h>
#include <fcntl.h>
#include <xdp/libxdp.h>

#include "dataplane/libbpf_log.hpp"
#include "slot.skel.h"

namespace sluice {
namespace {

// The functions of libxdp that are called, by their own names and types.
struct Libxdp {
    decltype(&::libxdp_set_print) set_print;
    decltype(&::libxdp_get_error) get_error;
    decltype(&::xdp_program__from_bpf_obj) from_bpf_obj;
    decltype(&::xdp_program__from_fd) from_fd;
    decltype(&::xdp_program__set_xdp_frags_support) set_frags;
    decltype(&::xdp_program__attach) attach;
    decltype(&::xdp_program__detach) detach;
    decltype(&::xdp_program__is_attached) is_attached;
    decltype(&::xdp_program__close) close;
};

int print(libxdp_print_level level, const char *format, va_list args) {
    char *text = nullptr;
    if (level == LIBXDP_DEBUG || vasprintf(&text, format, args) < 0)
        return 0;
    LibbpfLog::say(text);
    std::free(text);
    return 0;
}

// Once per process; stays open.
const Libxdp *load_libxdp() {
    void *library = dlopen("libxdp.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return nullptr;
    static Libxdp all;
    bool found = true;
    const auto take = [&](auto &function, const char *name) {
        function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
        found &= function != nullptr;
    };
    take(all.set_print, "libxdp_set_print");
    take(all.get_error, "libxdp_get_error");
    take(all.from_bpf_obj, "xdp_program__from_bpf_obj");
    take(all.from_fd, "xdp_program__from_fd");
    take(all.set_frags, "xdp_program__set_xdp_frags_support");
    take(all.attach, "xdp_program__attach");
    take(all.detach, "xdp_program__detach");
    take(all.is_attached, "xdp_program__is_attached");
    take(all.close, "xdp_program__close");
    if (!found)
        return nullptr;
    all.set_print(print);
    return &all;
}

Result<const Libxdp *> libxdp() {
    static const Libxdp *const loaded = load_libxdp();
    if (!loaded)
        return fail("`attach: dispatcher` needs libxdp 1.3 or later, which is not installed",
                    "apt install libxdp1, or `attach: direct`");
    return loaded;
}

using Program = std::unique_ptr<xdp_program, decltype(&::xdp_program__close)>;

// libxdp has two ways to say that there is none.
Result<Program> checked(const Libxdp &lib, xdp_program *program, const char *operation) {
    if (const long err = lib.get_error(program); err || !program)
        return fail_errno(static_cast<int>(err ? err : -ENOENT), operation);
    return Program(program, lib.close);
}

Result<Program> program_of(const Libxdp &lib, const Fd &relay) {
    return checked(lib, lib.from_fd(relay.get()), "ask libxdp for the relay");
}

struct SlotDeleter {
    void operator()(slot *s) const { slot__destroy(s); }
};

Fd own(int fd) {
    return Fd(fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0));
}

// libxdp looks programs up by their numbers; without the right to do so it believes that there are none.
bool may_look_up(const Fd &program) {
    bpf_prog_info info{};
    uint32_t length = sizeof(info);
    return bpf_obj_get_info_by_fd(program.get(), &info, &length) == 0 && Fd(bpf_prog_get_fd_by_id(info.id));
}

std::string cure(int err, const std::string &log = {}) {
    // Linux 6.13, and 6.12 since its .6, count a tail call as a change of the frame.
    if (log.find("changes packet data, while original does not") != std::string::npos)
        return "on this kernel `attach: dispatcher` needs libxdp 1.5.5 or later";
    if (err == -EPERM || err == -EACCES)
        return "libxdp needs root and CAP_SYS_ADMIN: start sluiced with --allow-dispatcher";
    if (err == -EOPNOTSUPP)
        return "this kernel cannot run more than one XDP program: remove the other one";
    return "`xdp-loader status` shows what is attached";
}

} // namespace

Result<DispatcherSlot> enter_dispatcher(const Fd &program, const Netdev &dev, DispatcherMode mode,
                                        bool frags) {
    const auto lib = libxdp();
    if (!lib)
        return tl::unexpected(lib.error());
    if (!may_look_up(program))
        return fail_errno(EPERM, "enter libxdp's dispatcher of " + dev.name, cure(-EPERM));
    const std::unique_ptr<slot, SlotDeleter> object(slot__open());
    if (!object)
        return fail_errno(errno, "open the BPF object of the dispatcher's relay");
    DispatcherSlot taken;
    // The map is filled before libxdp loads the relay: it never runs without a program behind it.
    taken.programs = Fd(bpf_map_create(BPF_MAP_TYPE_PROG_ARRAY, "sl_slot", 4, 4, 1, nullptr));
    if (!taken.programs)
        return fail_errno(errno, "make the map of the dispatcher's relay");
    const int zero = 0, fd = program.get();
    if (int err = bpf_map_update_elem(taken.programs.get(), &zero, &fd, BPF_ANY))
        return fail_errno(err, "enter the program of " + dev.name + " for the dispatcher");
    if (int err = bpf_map__reuse_fd(object->maps.sl_slot, taken.programs.get()))
        return fail_errno(err, "share the map of the dispatcher's relay");
    bpf_program__set_expected_attach_type(object->progs.sluice_slot,
                                          bpf_attach_type{}); // as load_ingress() does
    LibbpfLog log;
    auto relay = checked(**lib, (*lib)->from_bpf_obj(object->obj, "xdp"), "give libxdp the relay");
    if (!relay)
        return tl::unexpected(relay.error());
    if (frags)
        (*lib)->set_frags(relay->get(), true);
    const int err = (*lib)->attach(relay->get(), static_cast<int>(dev.ifindex),
                                   mode == DispatcherMode::native ? XDP_MODE_NATIVE : XDP_MODE_SKB, 0);
    if (err)
        return fail_errno(err, "enter libxdp's dispatcher of " + dev.name,
                          cure(err, log.tail()) + log.tail());
    taken.relay = own(bpf_program__fd(object->progs.sluice_slot));
    return taken;
}

bool is_in_dispatcher(const Fd &relay, uint32_t ifindex) {
    const auto lib = libxdp();
    if (!lib || !may_look_up(relay))
        return true;
    LibbpfLog log;
    const auto program = program_of(**lib, relay);
    return !program || (*lib)->is_attached(program->get(), static_cast<int>(ifindex)) != XDP_MODE_UNSPEC;
}

Result<> leave_dispatcher(const Fd &relay, uint32_t ifindex) {
    const auto lib = libxdp();
    if (!lib)
        return tl::unexpected(lib.error());
    LibbpfLog log;
    const auto program = program_of(**lib, relay);
    if (!program)
        return tl::unexpected(program.error());
    const auto mode = (*lib)->is_attached(program->get(), static_cast<int>(ifindex));
    if (mode == XDP_MODE_UNSPEC)
        return {};
    const int err = (*lib)->detach(program->get(), static_cast<int>(ifindex), mode, 0);
    return err ? fail_errno(err, "leave libxdp's dispatcher of interface " + std::to_string(ifindex),
                            cure(err) + log.tail())
               : Result<>();
}

} // namespace sluice
