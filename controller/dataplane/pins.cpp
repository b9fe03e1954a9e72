#include "dataplane/pins.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <set>
#include <unistd.h>

#include "dataplane/pin_folder.hpp"

namespace sluice {

namespace fs = std::filesystem;

namespace {

constexpr const char *kTracepoints[] = {"devmap_xmit", "redirect_err"};
constexpr const char *kIngress = "ingress_", *kXdp = "xdp_", *kPass = "pass_", *kTc = "tc_",
                     *kSlot = "slot_"; // + ifindex
// Notes: + ifindex. What cannot be pinned, since the kernel keeps it by itself.
constexpr const char *kFilter = "filter_", *kQdisc = "qdisc_";
constexpr const char *kMadeClsact = "with-clsact", *kOurs = "ours";

struct NamedProgram {
    const char *name;
    Fd Instance::*program;
};
constexpr NamedProgram kPrograms[] = {{"sampler", &Instance::sampler},
                                      {"devmap_xmit", &Instance::devmap_xmit},
                                      {"redirect_err", &Instance::redirect_err},
                                      {"devmap_frame", &Instance::devmap_frame},
                                      {"slow_path", &Instance::slow_path}};

std::string of_interface(const char *kind, uint32_t ifindex) {
    return kind + std::to_string(ifindex);
}

uint32_t interface_of(const std::string &name, const char *kind) {
    const std::string prefix(kind);
    return name.starts_with(prefix)
               ? static_cast<uint32_t>(std::strtoul(name.c_str() + prefix.size(), nullptr, 10))
               : 0;
}

Fd open_pin(const fs::path &at) {
    return Fd(bpf_obj_get(at.c_str()));
}

// Of a map, program or link; 0: no descriptor of one.
template <class Info> uint32_t id_of(const Fd &object) {
    Info info{};
    uint32_t length = sizeof(info);
    return object && bpf_obj_get_info_by_fd(object.get(), &info, &length) == 0 ? info.id : 0;
}

uint32_t program_id(const Fd &program) {
    return id_of<bpf_prog_info>(program);
}

// Pins under another name first: at no time is there no pin.
template <class Info> Result<> pin(const Fd &object, const fs::path &at) {
    if (id_of<Info>(object) == id_of<Info>(open_pin(at)))
        return {};
    const fs::path next = at.string() + "_next";
    unlink(next.c_str());
    if (int err = bpf_obj_pin(object.get(), next.c_str()))
        return fail_errno(err, "pin " + next.string());
    if (rename(next.c_str(), at.c_str()) != 0)
        return fail_errno(errno, "pin " + at.string());
    return {};
}

std::vector<fs::path> files(const fs::path &folder) {
    std::vector<fs::path> found;
    std::error_code error;
    for (fs::directory_iterator i(folder, error), end; !error && i != end; i.increment(error))
        found.push_back(i->path());
    return found;
}

void keep_only(const fs::path &folder, const std::set<std::string> &names) {
    for (const fs::path &at : files(folder))
        if (!names.contains(at.filename()))
            unlink(at.c_str());
}

// Where the instance's links are: the inode of the network namespace, as noted.
uint32_t pinned_netns(const fs::path &instance) {
    return static_cast<uint32_t>(std::strtoul(read_note(instance, "netns").c_str(), nullptr, 10));
}

// None: not that of an interface's XDP program.
Attachment attachment_at(const DataPath &path, const fs::path &at) {
    const std::string name = at.filename();
    if (interface_of(name, kXdp))
        return Attachment(open_pin(at));
    if (const uint32_t ifindex = interface_of(name, kSlot))
        if (Fd relay = open_pin(path.pins / "programs" / name))
            return {DispatcherSlot{std::move(relay), open_pin(at)}, ifindex};
    return {};
}

void read_ingress(DataPath &path) {
    for (const fs::path &at : files(path.pins / "links")) {
        IngressPort in;
        in.at = attachment_at(path, at);
        if (!in.at)
            continue;
        in.hook = in.at.hook();
        in.ifindex = in.at.ifindex();
        if (!in.ifindex)
            continue; // its device is gone
        in.program = open_pin(path.pins / "programs" / of_interface(kIngress, in.ifindex));
        path.ingress.push_back(std::move(in));
    }
}

void read_egress(DataPath &path) {
    for (const fs::path &at : files(path.pins / "links")) {
        const std::string name = at.filename();
        if (const uint32_t ifindex = interface_of(name, kPass))
            path.pass_links.emplace(ifindex, open_pin(at));
        if (const uint32_t ifindex = interface_of(name, kTc))
            path.slow_paths.push_back(SlowPath::left(ifindex, open_pin(at), false));
    }
    for (const fs::path &at : files(path.pins / "notes")) {
        const std::string name = at.filename();
        if (const uint32_t ifindex = interface_of(name, kFilter))
            path.slow_paths.push_back(
                SlowPath::left(ifindex, Fd(), read_note(path.pins, name) == kMadeClsact));
        if (const uint32_t ifindex = interface_of(name, kQdisc))
            path.qdiscs.push_back(ifindex);
    }
    for (SlowPath &slow : path.slow_paths)
        slow.leave(); // reading takes nothing away
}

// Programs that an adopted instance cannot do without; the others depend on hook and policy.
const char *missing_program(const Instance &instance, bool spill) {
    for (const NamedProgram &p : kPrograms)
        if (!(instance.*p.program) && p.program != &Instance::devmap_frame &&
            (spill || p.program != &Instance::slow_path))
            return p.name;
    return nullptr;
}

Result<> check_ingress(DataPath &path, const CompiledPolicy &policy, const Wiring &wiring) {
    size_t present = 0;
    for (const uint32_t port : ingress_ports(policy)) {
        const Netdev &dev = wiring.ports[port].dev;
        if (wiring.ports[port].missing)
            return fail("device " + dev.name + " is missing");
        bool attached = false;
        for (IngressPort &in : path.ingress) {
            if (in.ifindex != dev.ifindex)
                continue;
            in.port = port;
            attached = in.program && in.at.program_id() == program_id(in.program);
        }
        if (!attached)
            return fail("its program is not the one attached to " + dev.name);
        present++;
    }
    if (path.ingress.size() != present)
        return fail("it is attached to " + std::to_string(path.ingress.size()) + " interfaces instead of " +
                    std::to_string(present));
    return {};
}

Result<> pin_attachment(const IngressPort &in, const fs::path &pins, std::set<std::string> &names) {
    const std::string name = of_interface(in.at.dispatched() ? kSlot : kXdp, in.ifindex);
    names.insert(name);
    if (!in.at.dispatched())
        return pin<bpf_link_info>(in.at.holder(), pins / "links" / name);
    return pin<bpf_prog_info>(in.at.relay(), pins / "programs" / name).and_then([&] {
        return pin<bpf_map_info>(in.at.holder(), pins / "links" / name);
    });
}

Result<> pin_notes(const DataPath &path) {
    std::set<std::string> names{"identity", "netns", "version"};
    auto write = [&](const std::string &key, const std::string &value) {
        names.insert(key);
        return write_note(path.pins, key, value);
    };
    Result<> done = write("identity", path.identity)
                        .and_then([&] { return write("netns", std::to_string(path.wiring.netns)); })
                        .and_then([&] { return write("version", SLUICE_VERSION); });
    for (const SlowPath &slow : path.slow_paths)
        if (done && !slow.link())
            done =
                write(of_interface(kFilter, slow.ifindex()), slow.made_clsact() ? kMadeClsact : "in-clsact");
    for (const uint32_t ifindex : path.qdiscs)
        if (done)
            done = write(of_interface(kQdisc, ifindex), kOurs);
    keep_only(path.pins / "notes", names);
    return done;
}

} // namespace

Result<> pin_programs(const DataPath &path) {
    std::set<std::string> maps, programs;
    for (const auto &[name, fd] : path.instance.maps) {
        maps.insert(name);
        if (auto r = pin<bpf_map_info>(fd, path.pins / "maps" / name); !r)
            return r;
    }
    auto pin_program = [&](const Fd &program, const std::string &name) {
        programs.insert(name);
        return pin<bpf_prog_info>(program, path.pins / "programs" / name);
    };
    for (const NamedProgram &p : kPrograms)
        if (path.instance.*p.program)
            if (auto r = pin_program(path.instance.*p.program, p.name); !r)
                return r;
    for (const IngressPort &in : path.ingress)
        if (in.ifindex)
            if (auto r = pin_program(in.program, of_interface(kIngress, in.ifindex)); !r)
                return r;
    for (const IngressPort &in : path.ingress)
        programs.insert(of_interface(kSlot, in.ifindex)); // of pin_links()
    keep_only(path.pins / "maps", maps);
    keep_only(path.pins / "programs", programs);
    return pin_notes(path);
}

Result<> pin_links(const DataPath &path) {
    std::set<std::string> names;
    auto pin_link = [&](const Fd &link, const std::string &name) {
        names.insert(name);
        return pin<bpf_link_info>(link, path.pins / "links" / name);
    };
    for (size_t i = 0; i < path.tracepoints.size(); i++)
        if (auto r = pin_link(path.tracepoints[i], kTracepoints[i]); !r)
            return r;
    for (const IngressPort &in : path.ingress)
        if (in.at)
            if (auto r = pin_attachment(in, path.pins, names); !r)
                return r;
    for (const auto &[ifindex, link] : path.pass_links)
        if (auto r = pin_link(link, of_interface(kPass, ifindex)); !r)
            return r;
    for (const SlowPath &slow : path.slow_paths)
        if (slow.link())
            if (auto r = pin_link(slow.link(), of_interface(kTc, slow.ifindex())); !r)
                return r;
    keep_only(path.pins / "links", names);
    return {};
}

DataPath read_pins(const fs::path &instance) {
    DataPath path;
    path.pins = instance;
    path.identity = read_note(instance, "identity");
    path.wiring.netns = pinned_netns(instance);
    read_ingress(path);
    read_egress(path);
    for (const char *name : kTracepoints)
        if (Fd link = open_pin(instance / "links" / name))
            path.tracepoints.push_back(std::move(link));
    if (instance.parent_path().filename() != "v" + std::to_string(SLUICE_ABI_VERSION))
        return path;
    for (const NamedProgram &p : kPrograms)
        path.instance.*p.program = open_pin(instance / "programs" / p.name);
    for (const fs::path &at : files(instance / "maps"))
        path.instance.maps.emplace(at.filename(), open_pin(at));
    const int possible = libbpf_num_possible_cpus();
    if (auto maps = map_arrays(path.instance, static_cast<uint32_t>(possible)); maps && possible > 0)
        path.maps = std::move(*maps);
    return path;
}

Result<> check_adoptable(DataPath &path, const CompiledPolicy &policy, const Wiring &wiring,
                         const std::string &identity) {
    if (!path.has_counters())
        return fail("its maps are of another contract");
    if (path.identity != identity)
        return fail("it was loaded for other devices or forwarding, or by another build");
    if (policy.class_count > path.maps.class_rows())
        return fail("its maps are too small for the policy");
    if (const char *name = missing_program(path.instance, has_spill(policy)))
        return fail(std::string("its program ") + name + " is missing");
    if (path.tracepoints.size() != std::size(kTracepoints))
        return fail("a tracepoint is not attached");
    return check_ingress(path, policy, wiring);
}

} // namespace sluice
