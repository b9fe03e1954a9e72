#include "operate/file_watch.hpp"

#include <cerrno>
#include <cstring>
#include <filesystem>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sluice {
namespace {

namespace fs = std::filesystem;

constexpr uint32_t mask = IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_MODIFY | IN_CLOSE_WRITE |
                          IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
constexpr FileWatch::Duration missing_folder_poll{1000};
constexpr int most_links = 40; // as the kernel follows

// Each folder in which an entry decides where `path` leads: that of the path itself, and of each symbolic
// link on the way.
void collect(const fs::path &path, int depth, std::map<std::string, std::set<std::string>> &names) {
    fs::path so_far = path.is_absolute() ? "" : ".";
    std::error_code ignored;
    for (auto part = path.begin(); part != path.end(); ++part) {
        const fs::path folder = so_far.empty() ? "/" : so_far;
        so_far /= *part;
        const bool link = fs::is_symlink(so_far, ignored);
        const bool last = std::next(part) == path.end();
        if (link || last)
            names[folder.string()].insert(part->string());
        if (!link || depth >= most_links)
            continue;
        fs::path target = fs::read_symlink(so_far, ignored);
        if (target.is_relative())
            target = folder / target;
        for (auto rest = std::next(part); rest != path.end(); ++rest)
            target /= *rest;
        return collect(target.lexically_normal(), depth + 1, names);
    }
}

// A new file is empty until its writer closes it; a link is whole at once.
bool made_to_be_written(const std::string &path) {
    struct stat st {};
    return lstat(path.c_str(), &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1;
}

} // namespace

Result<FileWatch> FileWatch::open() {
    Fd fd(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    if (!fd)
        return fail_errno(errno, "start inotify", "raise fs.inotify.max_user_instances");
    return FileWatch(std::move(fd));
}

bool FileWatch::add_folders() {
    complete_ = true;
    bool added = false;
    for (const auto &[folder, entries] : names_) {
        const int watch = inotify_add_watch(inotify_.get(), folder.c_str(), mask);
        complete_ = complete_ && watch >= 0;
        added |= watch >= 0 && folders_.insert_or_assign(watch, folder).second;
    }
    return added;
}

bool FileWatch::follow(const std::vector<std::string> &files) {
    files_ = files;
    names_.clear();
    for (const auto &file : files_)
        collect(fs::path(file).lexically_normal(), 0, names_);
    for (auto it = folders_.begin(); it != folders_.end();) {
        const bool wanted = names_.count(it->second) > 0;
        if (!wanted)
            inotify_rm_watch(inotify_.get(), it->first);
        it = wanted ? std::next(it) : folders_.erase(it);
    }
    return add_folders();
}

// True when an entry of ours is among what happened.
bool FileWatch::take_events() {
    alignas(inotify_event) char buffer[16 * 1024];
    bool ours = false;
    for (ssize_t n; (n = read(inotify_.get(), buffer, sizeof(buffer))) > 0;) {
        for (char *at = buffer; at < buffer + n;) {
            inotify_event event;
            std::memcpy(&event, at, sizeof(event));
            const std::string name = event.len ? at + sizeof(event) : "";
            at += sizeof(event) + event.len;
            const auto folder = folders_.find(event.wd);
            if (event.mask & IN_Q_OVERFLOW)
                ours = true;
            if (folder == folders_.end())
                continue;
            const std::string &path = folder->second;
            const bool entry = names_.count(path) && names_[path].count(name);
            ours |= entry || (event.mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED));
            const std::string file = path + "/" + name;
            if (entry && ((event.mask & IN_MODIFY) || ((event.mask & IN_CREATE) && made_to_be_written(file))))
                in_writing_.insert(file);
            if (entry && (event.mask & (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE)))
                in_writing_.erase(file);
            if (event.mask & IN_IGNORED)
                folders_.erase(folder);
        }
    }
    return ours;
}

bool FileWatch::at_rest() {
    return !take_events() && in_writing_.empty();
}

void FileWatch::wait(const std::stop_token &stop, Duration timeout) {
    const Fd ended(eventfd(0, EFD_CLOEXEC));
    const std::stop_callback wake(stop, [&] { eventfd_write(ended.get(), 1); });
    using Clock = std::chrono::steady_clock;
    const auto until = timeout == for_ever ? Clock::time_point::max() : Clock::now() + timeout;
    bool changed = !in_writing_.empty();
    while (!stop.stop_requested()) {
        Duration pause = changed && in_writing_.empty() ? settle : for_ever;
        if (!complete_)
            pause = std::min(pause, missing_folder_poll);
        if (until != Clock::time_point::max() && !changed)
            pause = std::min(pause,
                             std::chrono::ceil<Duration>(std::max(until - Clock::now(), Clock::duration(0))));
        pollfd wanted[] = {{inotify_.get(), POLLIN, 0}, {ended.get(), POLLIN, 0}};
        const int n = poll(wanted, 2, pause == for_ever ? -1 : static_cast<int>(pause.count()));
        if (n > 0) {
            changed |= take_events();
            continue;
        }
        if (changed && in_writing_.empty())
            return;
        if (!complete_ && add_folders())
            return; // the folder is back: look what is in it
        if (Clock::now() >= until)
            return;
    }
}

} // namespace sluice
