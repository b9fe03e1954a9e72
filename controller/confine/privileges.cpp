#include "confine/privileges.hpp"

#include <algorithm>
#include <cerrno>
#include <iterator>

#include <cap-ng.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sluice {
namespace {

// Load and attach programs; set up links and queues; tracepoint programs.
std::vector<unsigned> kept_by(const PrivilegeOptions &options) {
    std::vector<unsigned> kept{CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON};
    if (options.packet_sockets)
        kept.push_back(CAP_NET_RAW);
    if (options.dispatcher || (options.list_types && capng_have_capability(CAPNG_EFFECTIVE, CAP_SYS_ADMIN)))
        kept.push_back(CAP_SYS_ADMIN);
    return kept;
}

constexpr const char *group_name = "sluice";

struct Identity {
    int uid = -1, gid = -1; // -1: as it is
};

Result<Identity> identity(const std::string &user) {
    if (user.empty()) {
        const bool may =
            geteuid() == 0 && capng_have_capability(CAPNG_EFFECTIVE, CAP_SETGID); // not in a container
        const group *g = may ? getgrnam(group_name) : nullptr;
        return Identity{-1, g ? static_cast<int>(g->gr_gid) : -1};
    }
    const passwd *entry = getpwnam(user.c_str());
    if (!entry)
        return fail("become user " + user + ": there is no such user", "systemd-sysusers makes `sluice`");
    if (geteuid() != 0 && entry->pw_uid != geteuid())
        return fail("become user " + user + ": only root can", "start as root, or leave --user out");
    return geteuid() == 0 ? Identity{static_cast<int>(entry->pw_uid), static_cast<int>(entry->pw_gid)}
                          : Identity{};
}

// A folder that exists belongs to somebody, who decides about it.
Result<> make_folder(const std::string &path, const Identity &who) {
    if (path.empty() || mkdir(path.c_str(), 0750) != 0)
        return path.empty() || errno == EEXIST ? Result<>() : fail_errno(errno, "create " + path);
    if (who.uid >= 0 && chown(path.c_str(), static_cast<uid_t>(who.uid), static_cast<gid_t>(who.gid)) != 0)
        return fail_errno(errno, "give away " + path);
    return {};
}

Result<> check_missing(const std::vector<unsigned> &kept) {
    std::string missing;
    for (unsigned capability : kept)
        if (!capng_have_capability(CAPNG_EFFECTIVE, capability))
            missing +=
                (missing.empty() ? "CAP_" : ", CAP_") + std::string(capng_capability_to_name(capability));
    for (char &c : missing)
        c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    if (missing.empty())
        return {};
    return fail("sluiced lacks " + missing,
                "start it as root, or by systemd with AmbientCapabilities= of all that it needs");
}

// Without CAP_SETPCAP it cannot shrink; then no_new_privs is what counts.
void shrink_bounding_set(const std::vector<unsigned> &kept) {
    for (unsigned capability = 0; capability <= CAP_LAST_CAP; capability++)
        if (std::find(kept.begin(), kept.end(), capability) == kept.end())
            prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
}

} // namespace

Result<> drop_privileges(const PrivilegeOptions &options) {
    const auto who = identity(options.user);
    if (!who)
        return tl::unexpected(who.error());
    const std::vector<unsigned> kept = kept_by(options);
    if (auto r = check_missing(kept); !r)
        return r;
    if (who->uid >= 0)
        for (const auto &folder : options.folders)
            if (auto r = make_folder(folder, *who); !r)
                return r;
    shrink_bounding_set(kept);
    capng_clear(CAPNG_SELECT_CAPS);
    for (unsigned capability : kept)
        capng_update(CAPNG_ADD, static_cast<capng_type_t>(CAPNG_EFFECTIVE | CAPNG_PERMITTED), capability);
    const bool other = who->uid >= 0 || who->gid >= 0;
    const int err =
        other ? capng_change_id(who->uid, who->gid, who->uid >= 0 ? CAPNG_INIT_SUPP_GRP : CAPNG_NO_FLAG)
              : capng_apply(CAPNG_SELECT_CAPS);
    if (err != 0)
        return fail("give up privileges: libcap-ng error " + std::to_string(err), "please report this");
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
        return fail_errno(errno, "clear the ambient capabilities");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return fail_errno(errno, "set no_new_privs");
    return {};
}

} // namespace sluice
