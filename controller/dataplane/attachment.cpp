#include "dataplane/attachment.hpp"

#include <cerrno>
#include <fcntl.h>

#include <bpf/bpf.h>

#include "dataplane/xdp_query.hpp"

namespace sluice {
namespace {

// BPF_LINK_TYPE_TCX, since Linux 6.6; its interface stands where that of XDP does.
constexpr uint32_t kLinkTypeTcx = 11;
constexpr int kFirst = 0; // and only entry of the relay's map

Fd duplicate(const Fd &fd) {
    return Fd(fd ? fcntl(fd.get(), F_DUPFD_CLOEXEC, 0) : -1);
}

bpf_link_info info_of(const Fd &link) {
    bpf_link_info info{};
    uint32_t length = sizeof(info);
    if (!link || bpf_obj_get_info_by_fd(link.get(), &info, &length) != 0 ||
        (info.type != BPF_LINK_TYPE_XDP && info.type != kLinkTypeTcx))
        info = {};
    return info;
}

} // namespace

IngressHook Attachment::hook() const {
    return !dispatched() && info_of(holder_).type == kLinkTypeTcx ? IngressHook::tc : IngressHook::xdp;
}

const char *Attachment::mode() const {
    return hook() == IngressHook::tc ? "tc" : xdp_mode(ifindex());
}

Attachment Attachment::share() const {
    if (!dispatched())
        return Attachment(duplicate(holder_));
    return {DispatcherSlot{duplicate(relay_), duplicate(holder_)}, ifindex_};
}

Result<> Attachment::exchange(const Fd &program) const {
    const int fd = program.get();
    const int err = dispatched() ? bpf_map_update_elem(holder_.get(), &kFirst, &fd, BPF_ANY)
                                 : bpf_link_update(holder_.get(), fd, nullptr);
    return err ? fail_errno(err, "replace the program of interface " + std::to_string(ifindex()))
               : Result<>();
}

uint32_t Attachment::program_id() const {
    if (!dispatched())
        return info_of(holder_).prog_id;
    uint32_t id = 0;
    return bpf_map_lookup_elem(holder_.get(), &kFirst, &id) == 0 ? id : 0;
}

uint32_t Attachment::ifindex() const {
    if (!dispatched())
        return info_of(holder_).xdp.ifindex;
    return is_in_dispatcher(relay_, ifindex_) ? ifindex_ : 0;
}

void Attachment::detach() {
    if (dispatched())
        (void)leave_dispatcher(relay_, ifindex_); // its interface may be gone
    else if (holder_)
        bpf_link_detach(holder_.get());
    *this = Attachment();
}

} // namespace sluice
