// What the daemon may no longer do, tried in a child that gives it up first.
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <thread>

#include <gtest/gtest.h>
#include <sched.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "confine/privileges.hpp"
#include "confine/syscall_filter.hpp"

namespace sluice {
namespace {

constexpr uint64_t kept = 1ull << 12 | 1ull << 38 | 1ull << 39; // CAP_NET_ADMIN, CAP_PERFMON, CAP_BPF

// Runs `work` in a child; 0 when every check in it held, else the number of the first that did not.
int in_child(const std::function<int()> &work) {
    const pid_t pid = fork();
    if (pid == 0)
        _exit(work());
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -status;
}

std::map<std::string, std::string> process_status() {
    std::map<std::string, std::string> fields;
    std::ifstream in("/proc/self/status");
    for (std::string name, rest; in >> name && std::getline(in >> std::ws, rest);)
        fields[name] = rest;
    return fields;
}

uint64_t mask(const std::string &hex) {
    return std::strtoull(hex.c_str(), nullptr, 16);
}

TEST(SyscallFilter, RefusesWhatTheDaemonDoesNotDo) {
    EXPECT_EQ(in_child([] {
                  if (!drop_privileges({}) && geteuid() == 0)
                      return 1;
                  if (!filter_syscalls())
                      return 2;
                  const auto refused = [](long result) { return result == -1 && errno == EPERM; };
                  char *none[] = {nullptr};
                  if (!refused(execve("/bin/true", none, none)))
                      return 3;
                  if (!refused(syscall(SYS_fork)) || !refused(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)))
                      return 4;
                  if (!refused(mount("none", "/tmp", "tmpfs", 0, nullptr)) || !refused(unshare(CLONE_NEWNS)))
                      return 5;
                  if (!refused(ptrace(PTRACE_TRACEME, 0, 0, 0)) || !refused(setuid(0)))
                      return 6;
                  for (int family : {AF_PACKET, AF_VSOCK, AF_BLUETOOTH})
                      if (!refused(socket(family, SOCK_RAW, 0)))
                          return 7;
                  return 0;
              }),
              0);
}

TEST(SyscallFilter, LeavesItsWork) {
    EXPECT_EQ(in_child([] {
                  if (!filter_syscalls())
                      return 1;
                  bool ran = false;
                  std::thread([&] { ran = true; }).join();
                  if (!ran)
                      return 2;
                  for (int family : {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK}) {
                      const int fd = socket(family, family == AF_NETLINK ? SOCK_RAW : SOCK_STREAM, 0);
                      if (fd < 0 && errno != EAFNOSUPPORT)
                          return 3;
                      close(fd);
                  }
                  char name[] = "/tmp/sluice-confine-XXXXXX";
                  const int fd = mkstemp(name);
                  if (fd < 0 || write(fd, "x", 1) != 1 || fsync(fd) != 0 || unlink(name) != 0)
                      return 4;
                  return process_status()["Seccomp:"] == "2" ? 0 : 5;
              }),
              0);
}

TEST(Privileges, RootKeepsThreeCapabilities) {
    if (geteuid() != 0)
        GTEST_SKIP() << "skipped: needs root";
    EXPECT_EQ(in_child([] {
                  if (!drop_privileges({}))
                      return 1;
                  auto s = process_status();
                  for (const char *set : {"CapEff:", "CapPrm:", "CapBnd:"})
                      if (mask(s[set]) != kept)
                          return 2;
                  if (mask(s["CapInh:"]) || mask(s["CapAmb:"]) || s["NoNewPrivs:"] != "1")
                      return 3;
                  return s["Uid:"] == "0\t0\t0\t0" ? 0 : 4;
              }),
              0);
}

TEST(Privileges, BecomesTheUserAndGivesItItsFolders) {
    if (geteuid() != 0)
        GTEST_SKIP() << "skipped: needs root";
    char name[] = "/tmp/sluice-confine-XXXXXX";
    const std::filesystem::path folder = mkdtemp(name);
    std::filesystem::permissions(folder, std::filesystem::perms(0755));
    std::filesystem::create_directory(folder / "old");
    EXPECT_EQ(in_child([&] {
                  if (!drop_privileges({"nobody", {folder / "state", folder / "old", ""}}))
                      return 1;
                  auto s = process_status();
                  for (const char *set : {"CapEff:", "CapPrm:", "CapBnd:"})
                      if (mask(s[set]) != kept)
                          return 2;
                  if (s["Uid:"] != "65534\t65534\t65534\t65534" || s["Gid:"].find("65534") != 0)
                      return 3;
                  if (!std::ofstream(folder / "state/x") || std::ofstream(folder / "old/x"))
                      return 4;
                  return setuid(0) == -1 && mask(s["CapAmb:"]) == 0 && s["NoNewPrivs:"] == "1" ? 0 : 5;
              }),
              0);
    std::filesystem::remove_all(folder);
}

TEST(Privileges, MissingCapabilitiesAndUsersAreNamed) {
    if (geteuid() != 0)
        GTEST_SKIP() << "skipped: needs root";
    const auto unknown = drop_privileges({"no-such-user", {}});
    ASSERT_FALSE(unknown);
    EXPECT_NE(unknown.error().what.find("no-such-user"), std::string::npos);
    EXPECT_EQ(in_child([] {
                  if (setuid(65534) != 0)
                      return 1;
                  const auto r = drop_privileges({});
                  return !r && r.error().what == "sluiced lacks CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON" ? 0 : 2;
              }),
              0);
}

} // namespace
} // namespace sluice
