#include "core/child.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/fd.hpp"

namespace sluice {
namespace {

using Clock = std::chrono::steady_clock;

class SpawnActions {
  public:
    explicit SpawnActions(int output) {
        posix_spawn_file_actions_init(&actions_);
        posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        posix_spawn_file_actions_adddup2(&actions_, output, STDOUT_FILENO);
        posix_spawn_file_actions_adddup2(&actions_, output, STDERR_FILENO);
    }
    ~SpawnActions() { posix_spawn_file_actions_destroy(&actions_); }
    SpawnActions(const SpawnActions &) = delete;
    SpawnActions &operator=(const SpawnActions &) = delete;

    const posix_spawn_file_actions_t *get() const { return &actions_; }

  private:
    posix_spawn_file_actions_t actions_{};
};

// 0 or an errno value.
int spawn(const std::vector<std::string> &argv, int output, pid_t &pid) {
    std::vector<char *> words;
    for (const auto &word : argv)
        words.push_back(const_cast<char *>(word.c_str()));
    words.push_back(nullptr);
    const SpawnActions actions(output);
    return posix_spawnp(&pid, words[0], actions.get(), nullptr, words.data(), environ);
}

// False when `until` came before the end of the output.
bool read_to_end(int fd, Clock::time_point until, std::string &out) {
    std::array<char, 4096> piece{};
    for (;;) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
        pollfd ready{fd, POLLIN, 0};
        if (left <= 0 || (poll(&ready, 1, static_cast<int>(left)) == 0))
            return false;
        const ssize_t n = read(fd, piece.data(), piece.size());
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return true;
        out.append(piece.data(), static_cast<size_t>(n));
    }
}

} // namespace

std::string output_of(const std::vector<std::string> &argv, std::chrono::milliseconds limit) {
    int ends[2];
    if (argv.empty() || pipe2(ends, O_CLOEXEC) != 0)
        return "no pipe for the output\n";
    const Fd from(ends[0]);
    Fd to(ends[1]);
    pid_t pid = 0;
    if (const int err = spawn(argv, to.get(), pid))
        return argv[0] + ": " + std::strerror(err) + "\n";
    to = Fd();
    std::string out;
    const bool ended = read_to_end(from.get(), Clock::now() + limit, out);
    if (!ended)
        kill(pid, SIGKILL);
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (!ended)
        out += argv[0] + ": took too long\n";
    else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        out +=
            argv[0] + ": exit status " + std::to_string(WIFEXITED(status) ? WEXITSTATUS(status) : -1) + "\n";
    return out;
}

} // namespace sluice
