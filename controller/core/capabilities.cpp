#include "core/capabilities.hpp"

#include <cerrno>
#include <cstdint>

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace sluice {
namespace {

struct Needed {
    unsigned bit;
    const char *name, *purpose;
};

constexpr Needed kNeeded[] = {
    {CAP_BPF, "CAP_BPF", "maps and programs"},
    {CAP_NET_ADMIN, "CAP_NET_ADMIN", "XDP programs and devices"},
    {CAP_PERFMON, "CAP_PERFMON", "tracepoint programs"},
};

} // namespace

Result<> check_capabilities() {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3]{};
    if (syscall(SYS_capget, &header, data) != 0)
        return fail_errno(errno, "ask for the capabilities of this process");
    const uint64_t held = uint64_t{data[1].effective} << 32 | data[0].effective;
    if (held >> CAP_SYS_ADMIN & 1)
        return {};
    std::string missing;
    for (const Needed &n : kNeeded)
        if (!(held >> n.bit & 1))
            missing += (missing.empty() ? "" : ", ") + std::string(n.name) + " for " + n.purpose;
    if (missing.empty())
        return {};
    return fail("the process lacks " + missing,
                "start it as root, or with AmbientCapabilities= as deploy/systemd/sluiced.service does");
}

} // namespace sluice
