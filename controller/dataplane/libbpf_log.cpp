#include "dataplane/libbpf_log.hpp"

#include <bpf/libbpf.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <sstream>

namespace sluice {
namespace {

constexpr size_t kLines = 20;
thread_local LibbpfLog *current = nullptr; // libbpf's callback carries no context

int print(libbpf_print_level level, const char *format, va_list args) {
    if (level == LIBBPF_DEBUG || !current)
        return 0;
    // The verifier's log comes as one message of up to megabytes; what matters is at its end.
    char *text = nullptr;
    const int n = vasprintf(&text, format, args);
    if (n < 0)
        return 0;
    current->add(text);
    std::free(text);
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

void LibbpfLog::say(const char *text) {
    if (current)
        current->add(text);
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
