#include "machine.hpp"

#include <ctime>
#include <fstream>
#include <sys/utsname.h>
#include <unistd.h>

namespace sluice::bench {
namespace {

std::string first_line(const char *path) {
    std::string line;
    std::getline(std::ifstream(path), line);
    return line;
}

std::string cpu_model() {
    std::ifstream file("/proc/cpuinfo");
    for (std::string line; std::getline(file, line);)
        if (line.starts_with("model name"))
            return line.substr(line.find(':') + 2);
    return "unknown";
}

} // namespace

Machine this_machine() {
    utsname name{};
    uname(&name);
    const time_t now = time(nullptr);
    tm utc{};
    gmtime_r(&now, &utc);
    char date[32];
    strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", &utc);
    return {name.release, cpu_model(),
            first_line("/sys/devices/system/clocksource/clocksource0/current_clocksource"), date,
            static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN))};
}

} // namespace sluice::bench
