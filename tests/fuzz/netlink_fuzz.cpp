// Datagrams of the kernel, read as all that they might be: no reader looks behind a message, and texts are
// within what came.
#include "dataplane/netlink_messages.hpp"
#include "fuzz.hpp"

#include <vector>

namespace {

using namespace sluice;

const WatchedDevices kWatched{{1, 7}, {"eth0", "wan"}};

void read(const nlmsghdr *message) {
    const Netdev dev = netdev_of(message);
    const RootQdisc qdisc = qdisc_of(message);
    const GenericFamily family = family_of(message, "mgmt");
    const size_t room = message->nlmsg_len;
    fuzz::require(dev.name.size() <= room && dev.kind.size() <= room && qdisc.kind.size() <= room,
                  "a text comes from the message");
    const bool has_attribute = room >= sizeof(nlmsghdr) + sizeof(nlattr);
    fuzz::require(has_attribute || (!xdp_features_of(message) && !family.group && !dev.xdp_prog),
                  "what no attribute says is not known");
    fuzz::require(!concerns(message, {}), "who watches nothing is not concerned");
    fuzz::require(!concerns(message, kWatched) || room > sizeof(nlmsghdr),
                  "an empty message concerns nobody");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    std::vector<char> datagram(data,
                               data + size); // of its own: the sanitizer guards its end, and it is aligned
    int left = static_cast<int>(size);
    // libmnl takes a length of 2 GiB or more for a negative one; the kernel's datagrams are far below.
    for (const auto *m = reinterpret_cast<const nlmsghdr *>(datagram.data());
         mnl_nlmsg_ok(m, left) && m->nlmsg_len <= size; m = mnl_nlmsg_next(m, &left))
        read(m);
    return 0;
}
