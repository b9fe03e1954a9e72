#include "rate_schedule.hpp"

#include <algorithm>
#include <cmath>
#include <sstream>

#include "clock.hpp"

namespace lab {

using sluice::fail;

sluice::Result<double> parse_rate(const std::string &text) {
    std::istringstream in(text);
    double value = 0;
    std::string unit;
    if (!(in >> value) || value < 0)
        return fail("rate '" + text + "' is not a number", "write it like 50mbit");
    in >> unit;
    const double bits = unit == "gbit"                  ? 1e9
                        : unit == "mbit"                ? 1e6
                        : unit == "kbit"                ? 1e3
                        : unit == "bit" || unit.empty() ? 1
                                                        : 0;
    if (bits == 0)
        return fail("rate '" + text + "' has an unknown unit", "use bit, kbit, mbit or gbit");
    return value * bits / 8;
}

RateSchedule::RateSchedule(double bytes_per_s, uint64_t now_ns) : steps_{{now_ns, bytes_per_s}} {}

sluice::Result<> RateSchedule::plan(const std::string &text) {
    std::string items = text;
    std::replace(items.begin(), items.end(), '\n', ',');
    std::istringstream in(items);
    for (std::string item; std::getline(in, item, ',');) {
        if (item.find_first_not_of(" \t") == std::string::npos)
            continue;
        const auto colon = item.find(':');
        if (colon == std::string::npos)
            return fail("schedule entry '" + item + "' has no colon", "write it like 10s:25mbit");
        auto rate = parse_rate(item.substr(colon + 1));
        if (!rate)
            return tl::unexpected(rate.error());
        const double at_s = std::atof(item.c_str());
        planned_.push_back({static_cast<uint64_t>(at_s * 1e9), *rate});
    }
    std::sort(planned_.begin(), planned_.end(), [](auto &a, auto &b) { return a.at_ns < b.at_ns; });
    return {};
}

void RateSchedule::start(uint64_t now_ns) {
    for (const Step &step : planned_)
        steps_.push_back({now_ns + step.at_ns, step.bytes_per_s});
    planned_.clear();
}

void RateSchedule::set(uint64_t now_ns, double bytes_per_s) {
    while (steps_.size() > 1 && steps_.back().at_ns >= now_ns)
        steps_.pop_back();
    steps_.push_back({now_ns, bytes_per_s});
}

void RateSchedule::pause(uint64_t now_ns) {
    if (rate(now_ns) > 0) {
        before_pause_ = rate(now_ns);
        set(now_ns, 0);
    }
}

void RateSchedule::resume(uint64_t now_ns) {
    if (rate(now_ns) == 0)
        set(now_ns, before_pause_);
}

size_t RateSchedule::step_at(uint64_t at_ns) const {
    const auto after = std::upper_bound(steps_.begin(), steps_.end(), at_ns,
                                        [](uint64_t t, const Step &s) { return t < s.at_ns; });
    return after == steps_.begin() ? 0 : static_cast<size_t>(after - steps_.begin()) - 1;
}

uint64_t RateSchedule::finish(uint64_t start_ns, double bytes) const {
    uint64_t at = start_ns;
    for (size_t i = step_at(start_ns); i < steps_.size(); i++) {
        const double rate = steps_[i].bytes_per_s;
        const bool last = i + 1 == steps_.size();
        if (last && rate == 0)
            return never_ns;
        const double room = last ? bytes : rate * static_cast<double>(steps_[i + 1].at_ns - at) / 1e9;
        if (rate > 0 && room >= bytes)
            return at + static_cast<uint64_t>(std::llround(bytes / rate * 1e9));
        bytes -= room;
        at = steps_[i + 1].at_ns;
    }
    return never_ns;
}

double RateSchedule::capacity(uint64_t from_ns, uint64_t to_ns) const {
    double bytes = 0;
    for (size_t i = step_at(from_ns); i < steps_.size() && steps_[i].at_ns < to_ns; i++) {
        const uint64_t begin = std::max(from_ns, steps_[i].at_ns);
        const uint64_t end = i + 1 < steps_.size() ? std::min(to_ns, steps_[i + 1].at_ns) : to_ns;
        if (end > begin)
            bytes += steps_[i].bytes_per_s * static_cast<double>(end - begin) / 1e9;
    }
    return bytes;
}

double RateSchedule::rate(uint64_t at_ns) const {
    return steps_[step_at(at_ns)].bytes_per_s;
}

} // namespace lab
