#include "parts.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include <bpf/bpf.h>

#include "parts.skel.h"

namespace sluice::bench {
namespace {

// The maps of a loaded program take the place of ours that have their names.
Result<> share_maps(int program_fd, bpf_object *object) {
    std::array<uint32_t, 64> ids{};
    bpf_prog_info program{};
    program.nr_map_ids = ids.size();
    program.map_ids = reinterpret_cast<uintptr_t>(ids.data());
    uint32_t size = sizeof(program);
    if (int err = bpf_obj_get_info_by_fd(program_fd, &program, &size))
        return fail_errno(err, "ask for the maps of the ingress program");
    for (uint32_t i = 0; i < std::min<uint32_t>(program.nr_map_ids, ids.size()); i++) {
        const Fd fd(bpf_map_get_fd_by_id(ids[i]));
        bpf_map_info info{};
        size = sizeof(info);
        if (!fd || bpf_obj_get_info_by_fd(fd.get(), &info, &size))
            return fail_errno(errno, "open a map of the ingress program");
        bpf_map *own = std::strncmp(info.name, "sl_", 3) == 0
                           ? bpf_object__find_map_by_name(object, info.name)
                           : nullptr;
        if (own)
            if (int err = bpf_map__reuse_fd(own, fd.get()))
                return fail_errno(err, std::string("share map ") + info.name);
    }
    return {};
}

} // namespace

void Parts::Deleter::operator()(parts *s) const {
    parts__destroy(s);
}

Result<Parts> Parts::open(int ingress_fd, Dataplane &dataplane) {
    Parts result;
    result.object_.reset(parts__open());
    if (!result.object_)
        return fail_errno(errno, "open the BPF object of the steps");
    sluice_ingress_config config{};
    const auto &ports = dataplane.ports();
    config.cpus = dataplane.maps().cpus;
    config.ports = static_cast<uint32_t>(ports.size());
    config.egress_count = 1;
    config.egress_ifindex[0] = ports[1].dev.ifindex;
    config.egress_port[0] = 1;
    std::copy(ports[0].dev.mac.begin(), ports[0].dev.mac.end(), config.mac);
    config.check_mac = config.rules = config.loss_bypass = 1;
    config.seed[0] = config.seed[1] = 1;
    std::memcpy(&result.object_->rodata->config, &config, sizeof(config));
    if (auto r = share_maps(ingress_fd, result.object_->obj); !r)
        return tl::unexpected(r.error());
    if (int err = parts__load(result.object_.get()))
        return fail_errno(err, "load the steps of the ingress program");
    return result;
}

Result<> Parts::each(const std::function<Result<>(const std::string &step, int fd)> &measure) const {
    const std::pair<const char *, const bpf_program *> programs[] = {
        {"hook", object_->progs.redirect},       {"enter", object_->progs.enter},
        {"parse", object_->progs.parsed},        {"route", object_->progs.routed},
        {"classify", object_->progs.classified}, {"admit", object_->progs.admitted}};
    for (const auto &[step, program] : programs)
        if (auto r = measure(step, bpf_program__fd(program)); !r)
            return r;
    return {};
}

} // namespace sluice::bench
