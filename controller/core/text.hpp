// Small text helpers for messages that people read.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace sluice {

// ASCII only.
std::string lower(std::string_view text);

// The text between backticks, cut to a sane length, control characters shown as `?`.
std::string quote(std::string_view text);

// "a", "a or b", "a, b or c"
std::string one_of(std::span<const std::string_view> words);

// The candidate that `word` most likely misspells (restricted Damerau-Levenshtein distance, at most one edit
// per three letters) or begins, or "" when none is near. Letter case does not count.
std::string closest(std::string_view word, std::span<const std::string_view> candidates);

} // namespace sluice
