// Measured quantities as tc(8) prints them: short, rounded. For exact, canonical spelling (what a policy file
// may contain) see core/units.hpp.
#pragma once

#include <cstdint>
#include <string>

namespace sluice {

// "49.87Mbit", "50Mbit", "800bit": four digits, factors of 1000 (tc: print_rate)
std::string tc_rate(uint64_t bytes_per_s);
// "5ms", "2.1ms", "700us", "1.5s", "20ns": three digits (tc: print_time)
std::string tc_time(uint64_t ns);
// "12300b", "12Kb", "3Mb": a larger unit only where it loses little, factors of 1024 (tc: print_size)
std::string tc_size(uint64_t bytes);

} // namespace sluice
