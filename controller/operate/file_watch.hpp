// Tells when files may have changed, by inotify on their folders: a watch on a file itself dies with the
// first rename. Follows symbolic links, so that the `..data` swap of a Kubernetes ConfigMap is seen. Reads no
// file.
#pragma once

#include <chrono>
#include <map>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "core/fd.hpp"
#include "core/result.hpp"

namespace sluice {

class FileWatch {
  public:
    using Duration = std::chrono::milliseconds;
    static constexpr Duration for_ever = Duration::max();
    static constexpr Duration settle{100}; // a change is over when nothing more happens for so long

    static Result<FileWatch> open();

    // From now on these. Folders that do not exist (yet) are looked for again in wait(). True when a folder
    // is watched that was not before: what is in it may have changed unseen.
    bool follow(const std::vector<std::string> &files);
    // Nothing has happened since the last wait() or follow(), and nobody is writing.
    bool at_rest();
    // Until something may have changed and nobody writes any more, or `timeout` is over, or stop is asked
    // for.
    void wait(const std::stop_token &stop, Duration timeout);

  private:
    explicit FileWatch(Fd inotify) : inotify_(std::move(inotify)) {}
    bool take_events();
    bool add_folders(); // true when there is a new one

    Fd inotify_;
    std::vector<std::string> files_;
    std::map<std::string, std::set<std::string>> names_; // folder -> entries that lead to a file
    std::map<int, std::string> folders_;                 // by watch descriptor
    std::set<std::string> in_writing_;                   // written to, not closed yet
    bool complete_ = false;                              // every folder is watched
};

} // namespace sluice
