#include "policy/types.hpp"

#include <algorithm>
#include <iterator>

#include <nlohmann/json.hpp>

#include "policy/names.hpp"

namespace sluice {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char *identifier_pattern = "^[A-Za-z][A-Za-z0-9_-]{0,31}$";
constexpr const char *rate_pattern =
    "^[0-9]+(\\.[0-9]+)?(([kKmMgGtT][iI]?)?[bB][iI][tT]|[kmg]?bps|[KMG]Bps)$";
constexpr const char *percent_pattern = "^[0-9]+(\\.[0-9]{1,4})?%$";
constexpr const char *prefix_pattern = "^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$";
constexpr const char *duration_pattern = "^[0-9]+(\\.[0-9]+)?(ns|us|ms|s)$";

Json text(const char *pattern) {
    return {{"type", "string"}, {"pattern", pattern}};
}

Json integer(long least, long most) {
    return {{"type", "integer"}, {"minimum", least}, {"maximum", most}};
}

Json reference(std::string_view section) {
    return {{"$ref", "#/definitions/" + std::string(section)}};
}

template <class Words> Json words(const Words &list) {
    Json names = Json::array();
    for (std::string_view word : list)
        names.push_back(word);
    return {{"type", "string"}, {"enum", names}};
}

Json any_of(std::initializer_list<Json> choices) {
    return {{"anyOf", Json(std::vector<Json>(choices))}};
}

Json list_of(Json item) {
    return {{"type", "array"}, {"items", std::move(item)}, {"minItems", 1}};
}

Json one_or_list(const Json &item) {
    return any_of({item, list_of(item)});
}

Json named_number(std::span<const NamedNumber> names, long most) {
    std::vector<std::string_view> list;
    for (const NamedNumber &n : names)
        list.push_back(n.name);
    return one_or_list(any_of({words(list), integer(0, most)}));
}

std::string listed(std::span<const std::string_view> words) {
    std::string out;
    for (std::string_view word : words)
        out += (out.empty() ? "`" : ", `") + std::string(word) + "`";
    return out;
}

void replace(std::string &in, std::string_view what, const std::string &with) {
    if (const size_t at = in.find(what); at != std::string::npos)
        in.replace(at, what.size(), with);
}

// A row per Type: what the reference page says (WORDS and RANGE stand for those of the key), and the JSON
// Schema.
struct Description {
    Type type;
    std::string_view text;
    Json (*schema)(const Key &);
};

// clang-format off
const Description descriptions[] = {
    {Type::version, "1", [](const Key &) { return Json{{"type", "integer"}, {"const", 1}}; }},
    {Type::identifier, "name", [](const Key &) { return text(identifier_pattern); }},
    {Type::port_name, "name of a port", [](const Key &) { return text(identifier_pattern); }},
    {Type::port_names, "name of a port, or list", [](const Key &) { return one_or_list(text(identifier_pattern)); }},
    {Type::device, "interface name", [](const Key &) {
         return Json{{"type", "string"}, {"minLength", 1}, {"maxLength", 15}, {"pattern", "^[^/:\\s]+$"}};
     }},
    {Type::rate, "rate", [](const Key &) { return text(rate_pattern); }},
    {Type::rate_or_percent, "rate or percentage", [](const Key &) {
         return any_of({text(rate_pattern), text(percent_pattern)});
     }},
    {Type::duration_or_auto, "duration or `auto`", [](const Key &) {
         return any_of({Json{{"const", "auto"}}, text(duration_pattern)});
     }},
    {Type::integer, "number RANGE", [](const Key &k) { return integer(k.least, k.most); }},
    {Type::boolean, "`true`, `false`", [](const Key &) { return Json{{"type", "boolean"}}; }},
    {Type::word, "WORDS", [](const Key &k) { return words(k.words); }},
    {Type::words, "list of WORDS", [](const Key &k) { return one_or_list(words(k.words)); }},
    {Type::dscp, "DSCP, or list", [](const Key &) { return named_number(dscp_names(), 63); }},
    {Type::protocol, "protocol, or list", [](const Key &) { return named_number(protocol_names(), 255); }},
    {Type::prefixes, "address prefix, or list", [](const Key &) { return one_or_list(text(prefix_pattern)); }},
    {Type::vlan_range, "VLAN id or range", [](const Key &) {
         return any_of({integer(0, 4095), text("^[0-9]{1,4}-[0-9]{1,4}$")});
     }},
    {Type::length_range, "bytes or range", [](const Key &) {
         return any_of({integer(0, 65535), text("^[0-9]{1,5}-[0-9]{1,5}$")});
     }},
    {Type::numbers, "number RANGE, or list", [](const Key &k) { return one_or_list(integer(k.least, k.most)); }},
    {Type::file, "path", [](const Key &) { return Json{{"type", "string"}, {"minLength", 1}}; }},
    {Type::classes, "WORDS, or list of maps", [](const Key &k) {
         return any_of({words(k.words), list_of(reference(k.section))});
     }},
    {Type::tenant_match, "address prefix or VLAN id, or list", [](const Key &) {
         return one_or_list(any_of({integer(0, 4095), text(prefix_pattern)}));
     }},
    {Type::port_range, "port or range", [](const Key &) {
         return any_of({integer(0, 65535), text("^[0-9]{1,5}-[0-9]{1,5}$")});
     }},
    {Type::overhead, "WORDS, number RANGE, or map", [](const Key &k) {
         return any_of({words(k.words), integer(k.least, k.most), reference(k.section)});
     }},
    {Type::section, "map", [](const Key &k) { return reference(k.section); }},
    {Type::section_list, "list of maps", [](const Key &k) { return list_of(reference(k.section)); }},
    {Type::section_by_name, "map of maps", [](const Key &k) {
         return Json{{"type", "object"},
                     {"propertyNames", {{"pattern", identifier_pattern}}},
                     {"additionalProperties", reference(k.section)},
                     {"minProperties", 1}};
     }},
};
// clang-format on

const Description &describe(Type type) {
    return *std::find_if(std::begin(descriptions), std::end(descriptions),
                         [type](const Description &d) { return d.type == type; });
}

} // namespace

std::string type_text(const Key &key) {
    std::string out(describe(key.type).text);
    replace(out, "WORDS", listed(key.words));
    replace(out, "RANGE", std::to_string(key.least) + ".." + std::to_string(key.most));
    return out;
}

nlohmann::ordered_json type_schema(const Key &key) {
    return describe(key.type).schema(key);
}

} // namespace sluice
