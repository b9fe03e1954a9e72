#include "dataplane/libbpf_log.hpp"

#include <bpf/libbpf.h>

#include <cstdarg>
#include <cstdio>
#include <sstream>

namespace sluice {
namespace {

constexpr size_t kLines = 20;
thread_local LibbpfLog *current = nullptr; // libbpf's callback carries no context

int print(libbpf_print_level level, const char *format, va_list args) {
    if (level == LIBBPF_DEBUG || !current)
        return 0;
    char text[16384];
    const int n = std::vsnprintf(text, sizeof(text), format, args);
    current->add(text);
    return n;
}

} // namespace

LibbpfLog::LibbpfLog() {
    current = this;
    libbpf_set_print(print);
}

LibbpfLog::~LibbpfLog() {
    current = nullptr;
}

void LibbpfLog::add(const char *text) {
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) {
        lines_.push_back(line);
        if (lines_.size() > kLines)
            lines_.pop_front();
    }
}

std::string LibbpfLog::tail() const {
    std::string out;
    for (const auto &line : lines_)
        out += "\n  " + line;
    return out;
}

} // namespace sluice
