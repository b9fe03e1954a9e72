#include "confine/syscall_filter.hpp"

#include <cerrno>
#include <memory>

#include <sched.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>

namespace sluice {
namespace {

constexpr const char *allowed[] = {
    // files: policy, state folder, pins, /proc
    "access", "chmod", "close", "creat", "dup", "dup2", "dup3", "faccessat", "faccessat2", "fallocate",
    "fchmod", "fchmodat", "fcntl", "fdatasync", "flock", "fstat", "fstatfs", "fsync", "ftruncate", "getcwd",
    "getdents64", "inotify_add_watch", "inotify_init1", "inotify_rm_watch", "ioctl", "lseek", "lstat",
    "mkdir", "mkdirat", "newfstatat", "open", "openat", "pread64", "pwrite64", "read", "readlink",
    "readlinkat", "readv", "rename", "renameat", "renameat2", "rmdir", "stat", "statfs", "statx", "symlink",
    "symlinkat", "truncate", "umask", "unlink", "unlinkat", "write", "writev",
    // the data path
    "bpf", "perf_event_open",
    // sockets; which families is decided below
    "accept", "accept4", "bind", "connect", "getpeername", "getsockname", "getsockopt", "listen", "recvfrom",
    "recvmmsg", "recvmsg", "sendfile", "sendmmsg", "sendmsg", "sendto", "setsockopt", "shutdown",
    // memory
    "brk", "madvise", "mlock", "mmap", "mprotect", "mremap", "munlock", "munmap",
    // threads and waiting; `clone` is decided below
    "clock_getres", "clock_gettime", "clock_nanosleep", "epoll_create1", "epoll_ctl", "epoll_pwait",
    "epoll_pwait2", "epoll_wait", "eventfd2", "exit", "exit_group", "futex", "futex_waitv", "gettimeofday",
    "membarrier", "nanosleep", "pause", "pipe2", "poll", "ppoll", "pselect6", "restart_syscall", "rseq",
    "rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigreturn", "rt_sigsuspend", "rt_sigtimedwait",
    "sched_getaffinity", "sched_getparam", "sched_getscheduler", "sched_setaffinity", "sched_setscheduler",
    "sched_yield", "select", "set_robust_list", "set_tid_address", "sigaltstack", "tgkill", "time",
    "timerfd_create", "timerfd_gettime", "timerfd_settime",
    // asking about oneself and the machine
    "capget", "getcpu", "getegid", "geteuid", "getgid", "getpgrp", "getpid", "getppid", "getpriority",
    "getrandom", "getrlimit", "getrusage", "gettid", "getuid", "prlimit64", "sysinfo", "times", "uname"};

constexpr int families[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};

struct Release {
    void operator()(void *filter) const { seccomp_release(filter); }
};
using Filter = std::unique_ptr<void, Release>;

int allow_known(scmp_filter_ctx filter) {
    for (const char *name : allowed) {
        const int number = seccomp_syscall_resolve_name(name);
        if (number == __NR_SCMP_ERROR)
            continue; // newer than this library
        if (int err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0))
            return err;
    }
    return 0;
}

int allow_by_argument(scmp_filter_ctx filter) {
    for (int family : families)
        for (int call : {SCMP_SYS(socket), SCMP_SYS(socketpair)})
            if (int err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 1,
                                           SCMP_A0(SCMP_CMP_EQ, static_cast<scmp_datum_t>(family))))
                return err;
    // Threads, but no processes. The flags of clone3 lie in memory, where a filter cannot look: libc falls
    // back to clone when the kernel seems not to have it.
    if (int err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                                   SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD)))
        return err;
    if (int err = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0))
        return err;
    return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1, SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME));
}

} // namespace

Result<> filter_syscalls() {
    const Filter filter(seccomp_init(SCMP_ACT_ERRNO(EPERM)));
    if (!filter)
        return fail("start a system call filter");
    int err = seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_TSYNC, 1);
    if (!err)
        err = allow_known(filter.get());
    if (!err)
        err = allow_by_argument(filter.get());
    if (err)
        return fail_errno(err, "make the system call filter");
    seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_LOG, 1); // kernels before 4.14 have no log
    if ((err = seccomp_load(filter.get())))
        return fail_errno(err, "load the system call filter");
    return {};
}

} // namespace sluice
