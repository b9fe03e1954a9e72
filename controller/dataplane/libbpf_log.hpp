// What libbpf says while this object lives, kept instead of printed: the verifier's last lines belong into
// the error.
#pragma once

#include <deque>
#include <string>

namespace sluice {

class LibbpfLog {
  public:
    LibbpfLog();
    ~LibbpfLog();
    LibbpfLog(const LibbpfLog &) = delete;
    LibbpfLog &operator=(const LibbpfLog &) = delete;

    // Into the log of this thread, if one lives: for libraries that print like libbpf.
    static void say(const char *text);
    void add(const char *text);
    std::string tail() const; // the last 20 lines

  private:
    std::deque<std::string> lines_;
};

} // namespace sluice
