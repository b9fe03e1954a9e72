// Reads /proc/self only: the systemd unit hides the rest of /proc (ProcSubset=pid), so the boot time comes
// from the clocks and not from /proc/stat.
#include "metrics/process.hpp"

#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include <sys/resource.h>
#include <unistd.h>

namespace sluice {
namespace {

// Fields of /proc/self/stat after the command, which may itself contain blanks and parentheses (proc(5)); the
// first one here is field 3, `state`.
std::vector<std::string> stat_fields() {
    std::ifstream file("/proc/self/stat");
    std::string line;
    std::getline(file, line);
    const auto end_of_command = line.rfind(')');
    if (end_of_command == std::string::npos)
        return {};
    std::istringstream rest(line.substr(end_of_command + 1));
    return {std::istream_iterator<std::string>(rest), {}};
}

double clock_s(clockid_t clock) {
    timespec t{};
    clock_gettime(clock, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

// Wall clock time of the start, fixed at the first call: recomputed later it would move with every correction
// of the clock and look like a restart.
double start_time_unix_s(double started_after_boot_s) {
    static const double start = clock_s(CLOCK_REALTIME) - clock_s(CLOCK_BOOTTIME) + started_after_boot_s;
    return start;
}

std::optional<uint64_t> count_open_fds() {
    std::error_code error;
    std::filesystem::directory_iterator entries("/proc/self/fd", error);
    if (error)
        return {};
    uint64_t count = 0;
    for (; entries != std::filesystem::directory_iterator(); entries.increment(error)) {
        if (error)
            return {};
        count++;
    }
    return count - 1; // the iterator's own
}

} // namespace

ProcessStats read_process_stats() {
    constexpr size_t utime = 14 - 3, stime = 15 - 3, starttime = 22 - 3, vsize = 23 - 3, rss = 24 - 3;
    ProcessStats stats;
    const auto fields = stat_fields();
    if (fields.size() > rss) {
        const auto ticks_per_s = static_cast<double>(sysconf(_SC_CLK_TCK));
        const auto number = [&](size_t i) { return std::strtoull(fields[i].c_str(), nullptr, 10); };
        stats.cpu_seconds = static_cast<double>(number(utime) + number(stime)) / ticks_per_s;
        stats.start_time_unix_s = start_time_unix_s(static_cast<double>(number(starttime)) / ticks_per_s);
        stats.virtual_bytes = number(vsize);
        stats.resident_bytes = number(rss) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    }
    stats.open_fds = count_open_fds();
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        stats.max_fds = limit.rlim_cur;
    return stats;
}

} // namespace sluice
