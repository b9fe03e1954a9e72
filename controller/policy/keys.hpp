// The table of keys: one row per key of the policy file, next to the function that reads its value. The
// parser, the JSON Schema and the reference page are all made from these rows, so adding a key means adding
// one row.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "policy/reader.hpp"

namespace sluice {

// How a value is written. types.cpp has the words for the reference page and the JSON Schema of each.
enum class Type {
    version,
    identifier,
    port_name,
    port_names,
    device,
    rate,
    rate_or_percent,
    duration_or_auto,
    integer, // within Key::least and Key::most
    boolean,
    word,  // one of Key::words
    words, // one of Key::words, or a list of them
    dscp,
    protocol,
    prefixes, // one or a list
    port_range,
    vlan_range,
    length_range,
    numbers, // within Key::least and Key::most, or a list of them
    file,    // path, relative to the policy file
    classes, // one of Key::words, or a list of maps named by Key::section
    tenant_match,
    overhead, // a name, a number or the map named by Key::section
    section,  // the map named by Key::section
    section_list,
    section_by_name, // a map from names that the operator chooses to the map named by Key::section
};

enum class Need { optional, required };

struct Key {
    std::string_view name;
    Type type = Type::word;
    Need need = Need::optional;
    std::string_view fallback; // default, as the reference prints it; "" where there is none
    std::string_view example;  // as written in a file; never empty
    std::string_view meaning;
    std::span<const std::string_view> words = {};
    long least = 0, most = 0;
    std::string_view section = {};
};

// A row: the key, and the function that puts its value into the map's struct.
template <class T> struct Row {
    Key key;
    void (*read)(Reader &, const Node &, T &);
};

// What the JSON Schema and the reference see of one map.
struct Section {
    std::string_view name;  // "port"
    std::string_view title; // "A port, under `ports.<name>`"
    std::vector<Key> keys;
};

template <class T>
Section section_of(std::string_view name, std::string_view title, std::span<const Row<T>> rows) {
    Section section{name, title, {}};
    for (const Row<T> &row : rows)
        section.keys.push_back(row.key);
    return section;
}

// All maps of the policy file, outermost first.
std::vector<Section> policy_sections();

// Reads every entry of `map` with its row; reports unknown, empty and missing keys. False when it is no map.
template <class T>
bool read_rows(Reader &r, const Node &map, std::string_view what, std::span<const Row<T>> rows, T &out) {
    if (!r.want_map(map, what))
        return false;
    std::vector<std::string_view> names;
    for (const Row<T> &row : rows)
        names.push_back(row.key.name);
    for (const Node &entry : map.children) {
        size_t i = 0;
        while (i < rows.size() && rows[i].key.name != entry.key)
            i++;
        if (i == rows.size())
            r.unknown_key(entry, what, names);
        else if (r.want_value(entry))
            rows[i].read(r, entry, out);
    }
    for (const Row<T> &row : rows)
        if (row.key.need == Need::required && !map.find(row.key.name))
            r.missing_key(map, what, row.key.name);
    return true;
}

} // namespace sluice
