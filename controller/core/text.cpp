#include "core/text.hpp"

#include <algorithm>
#include <vector>

namespace sluice {
namespace {

constexpr size_t longest_quote = 60;
constexpr size_t longest_word = 64; // bounds the distance table

bool is_continuation(char c) {
    return (static_cast<unsigned char>(c) & 0xc0) == 0x80;
}

constexpr size_t edit = 2, swap_cost = 1; // swapped letters are the likelier slip

// What it costs to turn `a` into `b` by inserting, deleting, replacing and swapping neighbours. Three rows of
// the usual table.
size_t distance(std::string_view a, std::string_view b) {
    std::vector<size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
    for (size_t j = 0; j <= b.size(); j++)
        last[j] = j * edit;
    for (size_t i = 1; i <= a.size(); i++) {
        row[0] = i * edit;
        for (size_t j = 1; j <= b.size(); j++) {
            const size_t replace = last[j - 1] + (a[i - 1] != b[j - 1] ? edit : 0);
            row[j] = std::min({last[j] + edit, row[j - 1] + edit, replace});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = std::min(row[j], before[j - 2] + swap_cost);
        }
        std::swap(before, last);
        std::swap(last, row);
    }
    return last[b.size()];
}

} // namespace

std::string lower(std::string_view text) {
    std::string out(text);
    for (char &c : out)
        if (c >= 'A' && c <= 'Z')
            c = static_cast<char>(c - 'A' + 'a');
    return out;
}

std::string quote(std::string_view text) {
    size_t end = std::min(text.size(), longest_quote);
    while (end < text.size() && end > 0 && is_continuation(text[end]))
        end--;
    std::string out = "`";
    for (char c : text.substr(0, end))
        out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
    return out + (end < text.size() ? "...`" : "`");
}

std::string one_of(std::span<const std::string_view> words) {
    std::string out;
    for (size_t i = 0; i < words.size(); i++) {
        if (i > 0)
            out += i + 1 == words.size() ? " or " : ", ";
        out += words[i];
    }
    return out;
}

std::string closest(std::string_view word, std::span<const std::string_view> candidates) {
    if (word.empty() || word.size() > longest_word)
        return {};
    const std::string wanted = lower(word);
    size_t best = std::max<size_t>(1, word.size() / 3) * edit + 1;
    std::string found;
    for (std::string_view candidate : candidates)
        if (wanted.size() >= 3 && lower(candidate).starts_with(wanted))
            return std::string(candidate);
    for (std::string_view candidate : candidates) {
        if (candidate.size() > longest_word)
            continue;
        const size_t d = distance(wanted, lower(candidate));
        if (d < best && d < candidate.size() * edit) {
            best = d;
            found = candidate;
        }
    }
    return found;
}

} // namespace sluice
