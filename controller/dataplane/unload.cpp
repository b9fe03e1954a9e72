#include "dataplane/unload.hpp"

#include <net/if.h>

#include "dataplane/netdev.hpp"
#include "dataplane/pin_folder.hpp"
#include "dataplane/pins.hpp"
#include "dataplane/swap.hpp"

namespace sluice {
namespace {

std::string name_of(uint32_t ifindex) {
    char name[IF_NAMESIZE];
    return if_indextoname(ifindex, name) ? name : "interface " + std::to_string(ifindex);
}

bool is_here(const DataPath &path) {
    const auto netns = this_netns();
    return netns && *netns == path.wiring.netns;
}

// At once; the kernel would free a link some time after its last pin.
Result<> take_away(DataPath &path, Unloaded &done) {
    if (!is_here(path) && !(path.ingress.empty() && path.qdiscs.empty()))
        return fail_busy("the data path pinned in " + path.pins.string() +
                             " serves another network namespace",
                         "run `sluicectl unload` inside of that one");
    for (const IngressPort &in : path.ingress)
        done.interfaces.push_back(name_of(in.ifindex));
    detach_others(DataPath(), path);
    return {};
}

} // namespace

Result<Unloaded> unload(const std::string &pin_path) {
    auto folder = PinFolder::find(pin_path);
    if (!folder)
        return tl::unexpected(folder.error());
    Unloaded done;
    if (!*folder)
        return done;
    for (const auto &instance : (*folder)->instances()) {
        DataPath path = read_pins(instance);
        if (auto r = take_away(path, done); !r)
            return tl::unexpected(r.error());
    }
    if (auto r = (*folder)->remove(); !r)
        return tl::unexpected(r.error());
    return done;
}

} // namespace sluice
