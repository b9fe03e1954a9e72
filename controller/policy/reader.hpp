// Reads YAML nodes as typed values. Every function reports what is wrong and returns nothing (or false) then,
// so that the caller keeps its default and the pass goes on.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "policy/document.hpp"

namespace sluice {

class Reader {
  public:
    explicit Reader(Report &r) : report(r) {}

    void error(const Node &at, std::string message, std::string suggestion = {});
    void warning(const Node &at, std::string message, std::string suggestion = {});
    void error_at(SourcePos pos, std::string message);
    void warning_at(SourcePos pos, std::string message);

    bool has_error() const { return report.has_error(); }

    // Shapes. `what` names the thing in the message: "a port".
    bool want_map(const Node &node, std::string_view what);
    bool want_list(const Node &node, std::string_view what);
    bool want_value(const Node &entry);
    void unknown_key(const Node &entry, std::string_view what, std::span<const std::string_view> known);
    void missing_key(const Node &map, std::string_view what, std::string_view key);
    // A single value counts as a list of one.
    std::span<const Node> one_or_many(const Node &node, std::string_view what);

    // Scalars.
    std::optional<std::string_view> scalar(const Node &node, std::string_view what);
    std::optional<long> integer(const Node &node, long least, long most);
    std::optional<bool> boolean(const Node &node);
    // The name of a port or a class: a letter, then letters, digits, `_` or `-`, at most 32 in all.
    std::optional<std::string> identifier(const Node &node);
    bool check_identifier(SourcePos pos, const std::string &name);
    std::optional<std::string> device(const Node &node);
    // Index into `words`.
    std::optional<size_t> word(const Node &node, std::span<const std::string_view> words);

    // Quantities.
    std::optional<uint64_t> rate(const Node &node); // bytes per second, within what a port can have
    struct Share {                                  // exactly one of the two
        std::optional<uint64_t> bytes_per_s;
        std::optional<double> fraction;
    };
    std::optional<Share> rate_or_percent(const Node &node);
    std::optional<uint64_t> duration_ns(const Node &node); // 1 us .. 10 s
    bool is_auto(const Node &node) const;

  private:
    Report &report;
};

// Sets `out` to the enumerator whose number is the index of the word.
template <class E> void read_word(Reader &r, const Node &n, std::span<const std::string_view> words, E &out) {
    if (const auto i = r.word(n, words))
        out = static_cast<E>(*i);
}

} // namespace sluice
