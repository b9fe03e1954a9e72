// Other programs, started from an exec vector: no shell, so no word can become a command.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace sluice {

// What `argv` prints to both of its outputs, the program found by PATH; killed when it takes longer than
// `limit`. What went wrong is a line at the end: the text is for people.
std::string output_of(const std::vector<std::string> &argv, std::chrono::milliseconds limit);

} // namespace sluice
