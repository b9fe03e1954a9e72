// A YAML text as a plain tree with places: the only part that knows yaml-cpp. It decides what YAML may do in
// a policy: one document, no duplicate keys, no merge keys, no tags, bounded size even when aliases are
// expanded.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/report.hpp"

namespace sluice {

struct Node {
    enum class Kind { null, scalar, list, map };

    Kind kind = Kind::null;
    SourcePos pos;       // of the value
    std::string text;    // of a scalar
    bool quoted = false; // the scalar was written in quotes or as a block
    std::string key;     // when this node is an entry of a map
    SourcePos key_pos;
    std::vector<Node> children; // items of a list, entries of a map, in the order of the file

    const Node *find(std::string_view child_key) const; // entry of a map
};

// None when the text cannot be read at all; the reason is in the report. Problems that leave a readable tree
// are reported too and the tree is returned, so that one pass finds everything.
std::optional<Node> read_document(std::string_view text, Report &report);

} // namespace sluice
