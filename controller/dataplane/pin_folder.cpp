#include "dataplane/pin_folder.hpp"

#include <sluice/abi.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <fcntl.h>
#include <fstream>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

namespace sluice {

namespace fs = std::filesystem;

namespace {

constexpr const char *kNoPins = ", or run sluiced with --ephemeral: then the data path ends with it";

// The nearest folder that exists decides which file system a new one would be on.
Result<> check_file_system(const fs::path &root) {
    fs::path there = root;
    std::error_code ignored;
    while (!fs::exists(there, ignored) && there.has_relative_path())
        there = there.parent_path();
    struct statfs info {};
    if (statfs(there.c_str(), &info) != 0)
        return fail_errno(errno, "look at the file system of pin path " + root.string());
    if (static_cast<unsigned long>(info.f_type) != BPF_FS_MAGIC)
        return fail("pin path " + root.string() + " is not on a BPF file system",
                    "`mount -t bpf bpf /sys/fs/bpf`" + std::string(kNoPins));
    if (info.f_flags & ST_RDONLY)
        return fail("pin path " + root.string() + " is on a read-only BPF file system",
                    "`mount -o remount,rw " + there.string() + "`" + kNoPins);
    return {};
}

// Readable by its owner only, whatever the umask.
Result<> make_folder(const fs::path &path) {
    if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
        return fail_errno(errno, "make folder " + path.string(),
                          "it must belong to the user that sluiced runs as" + std::string(kNoPins));
    return {};
}

Result<> make_folders(const fs::path &path) {
    std::error_code ignored;
    if (fs::exists(path, ignored))
        return {};
    return make_folders(path.parent_path()).and_then([&] { return make_folder(path); });
}

// Pid of the process that holds the lock of this inode; 0 when it cannot be seen from here.
long lock_holder(int fd) {
    struct stat of {};
    if (fstat(fd, &of) != 0)
        return 0;
    std::ifstream locks("/proc/locks"); // "1: FLOCK  ADVISORY  WRITE 4711 00:2a:1234 0 EOF"
    std::string number, kind, how, mode, inode, rest;
    for (long pid = 0; locks >> number >> kind >> how >> mode >> pid >> inode && std::getline(locks, rest);) {
        unsigned major = 0, minor = 0;
        unsigned long ino = 0;
        if (kind == "FLOCK" && std::sscanf(inode.c_str(), "%x:%x:%lu", &major, &minor, &ino) == 3 &&
            ino == of.st_ino && makedev(major, minor) == of.st_dev)
            return pid;
    }
    return 0;
}

std::optional<unsigned long> number_of(const std::string &name) {
    unsigned long n = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), n);
    return error == std::errc{} && end == name.data() + name.size() ? std::optional(n) : std::nullopt;
}

std::vector<fs::path> children(const fs::path &folder) {
    std::vector<fs::path> found;
    std::error_code error;
    for (fs::directory_iterator i(folder, error), end; !error && i != end; i.increment(error))
        found.push_back(i->path());
    std::sort(found.begin(), found.end());
    return found;
}

// v1, v2, ...
std::vector<fs::path> version_folders(const fs::path &root) {
    std::vector<fs::path> found = children(root);
    std::erase_if(found, [](const fs::path &p) {
        const std::string name = p.filename();
        return name.size() < 2 || name[0] != 'v' || !number_of(name.substr(1));
    });
    std::sort(found.begin(), found.end(), [](const fs::path &a, const fs::path &b) {
        return number_of(a.filename().string().substr(1)) < number_of(b.filename().string().substr(1));
    });
    return found;
}

std::optional<fs::path> current_of(const fs::path &version) {
    std::error_code error;
    const fs::path target = fs::read_symlink(version / "current", error);
    if (error || !fs::is_directory(version / target, error))
        return std::nullopt;
    return version / target;
}

// A library user that asked for the number once must not meet it again after an unload: seconds since boot,
// like the pins themselves.
unsigned long new_number() {
    timespec t{};
    clock_gettime(CLOCK_BOOTTIME, &t);
    return static_cast<unsigned long>(t.tv_sec) + 1;
}

} // namespace

Result<PinFolder> PinFolder::lock(const fs::path &root) {
    Fd folder(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (const int err = errno; !folder)
        return fail_errno(err, "open " + root.string(),
                          err == EACCES ? "run as root, or as the user that sluiced runs as" : "");
    if (flock(folder.get(), LOCK_EX | LOCK_NB) == 0)
        return PinFolder(root, std::move(folder));
    if (errno != EWOULDBLOCK)
        return fail_errno(errno, "lock " + root.string());
    const long pid = lock_holder(folder.get());
    return fail_busy("another sluiced " + (pid ? "(pid " + std::to_string(pid) + ") " : "") +
                         "owns the data path in " + root.string(),
                     "stop it first, or give this one another --pin-path");
}

Result<PinFolder> PinFolder::open(const std::string &root) {
    const fs::path path = fs::path(root).lexically_normal();
    return check_file_system(path).and_then([&] { return make_folders(path); }).and_then([&] {
        return lock(path);
    });
}

Result<std::optional<PinFolder>> PinFolder::find(const std::string &root) {
    const fs::path path = fs::path(root).lexically_normal();
    std::error_code error;
    if (!fs::exists(path, error))
        return std::nullopt;
    if (auto r = check_file_system(path); !r)
        return tl::unexpected(r.error());
    auto folder = lock(path);
    if (!folder)
        return tl::unexpected(folder.error());
    return std::optional(std::move(*folder));
}

fs::path PinFolder::version_folder() const {
    return root_ / ("v" + std::to_string(SLUICE_ABI_VERSION));
}

std::optional<fs::path> PinFolder::current() const {
    if (auto mine = current_of(version_folder()))
        return mine;
    const auto versions = version_folders(root_);
    for (auto v = versions.rbegin(); v != versions.rend(); ++v)
        if (auto other = current_of(*v))
            return other;
    return std::nullopt;
}

std::vector<fs::path> PinFolder::instances() const {
    std::vector<fs::path> found;
    for (const fs::path &version : version_folders(root_))
        for (const fs::path &child : children(version))
            if (number_of(child.filename()))
                found.push_back(child);
    return found;
}

Result<fs::path> PinFolder::create() const {
    unsigned long number = new_number();
    for (const fs::path &child : children(version_folder()))
        number = std::max(number, number_of(child.filename()).value_or(0) + 1);
    const fs::path path = version_folder() / std::to_string(number);
    if (auto r = make_folder(version_folder()); !r)
        return tl::unexpected(r.error());
    for (const fs::path &folder : {path, path / "maps", path / "programs", path / "links", path / "notes"})
        if (auto r = make_folder(folder); !r)
            return tl::unexpected(r.error());
    return path;
}

Result<> PinFolder::put_in_force(const fs::path &instance) const {
    const fs::path next = version_folder() / "next", current = version_folder() / "current";
    unlink(next.c_str());
    if (symlink(instance.filename().c_str(), next.c_str()) != 0 || rename(next.c_str(), current.c_str()) != 0)
        return fail_errno(errno, "point " + current.string() + " to " + instance.filename().string());
    return {};
}

void PinFolder::keep_only(const fs::path &instance) const {
    std::error_code ignored;
    for (const fs::path &old : instances())
        if (old != instance)
            fs::remove_all(old, ignored);
    for (const fs::path &version : version_folders(root_)) {
        if (current_of(version))
            continue;
        fs::remove(version / "current", ignored); // to nowhere
        fs::remove(version, ignored);             // if empty
    }
}

Result<> PinFolder::remove() const {
    std::error_code error;
    for (const fs::path &child : children(root_))
        if (fs::remove_all(child, error); error)
            return fail("remove " + child.string() + ": " + error.message());
    fs::remove(root_, error); // its parent may belong to somebody else: an empty folder may stay
    return {};
}

std::string read_note(const fs::path &instance, const std::string &key) {
    std::error_code error;
    const fs::path target = fs::read_symlink(instance / "notes" / key, error);
    return error ? "" : target.string();
}

Result<> write_note(const fs::path &instance, const std::string &key, const std::string &value) {
    const fs::path at = instance / "notes" / key, next = instance / "notes" / (key + "_next");
    unlink(next.c_str());
    if (symlink(value.c_str(), next.c_str()) != 0 || rename(next.c_str(), at.c_str()) != 0)
        return fail_errno(errno, "write " + at.string());
    return {};
}

} // namespace sluice
