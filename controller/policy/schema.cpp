#include "policy/schema.hpp"

#include <nlohmann/json.hpp>

#include "policy/keys.hpp"
#include "policy/types.hpp"

namespace sluice {
namespace {

using Json = nlohmann::ordered_json;

Json key_schema(const Key &key) {
    Json schema = type_schema(key);
    if (schema.contains("$ref"))
        schema = Json{{"allOf", Json::array({schema})}}; // draft-07 ignores what stands beside a $ref
    schema["description"] = key.meaning;
    return schema;
}

Json section_schema(const Section &section) {
    Json properties = Json::object();
    Json required = Json::array();
    for (const Key &key : section.keys) {
        properties[std::string(key.name)] = key_schema(key);
        if (key.need == Need::required)
            required.push_back(key.name);
    }
    Json schema = {{"type", "object"}, {"properties", properties}, {"additionalProperties", false}};
    if (!required.empty())
        schema["required"] = required;
    return schema;
}

std::string code(std::string_view text) {
    return "`" + std::string(text) + "`";
}

std::string row(const Key &key) {
    const std::string fallback = key.need == Need::required ? "required"
                                 : key.fallback.empty()     ? "-"
                                                            : code(key.fallback);
    return "| " + code(key.name) + " | " + type_text(key) + " | " + fallback + " | " +
           code(std::string(key.name) + ": " + std::string(key.example)) + " | " + std::string(key.meaning) +
           " |\n";
}

} // namespace

std::string policy_schema_json() {
    const std::vector<Section> sections = policy_sections();
    Json schema = {{"$schema", "http://json-schema.org/draft-07/schema#"}, {"title", "sluice policy"}};
    schema.update(section_schema(sections.front()));
    for (size_t i = 1; i < sections.size(); i++)
        schema["definitions"][std::string(sections[i].name)] = section_schema(sections[i]);
    return schema.dump(2) + "\n";
}

std::string policy_reference_markdown() {
    std::string out;
    for (const Section &section : policy_sections()) {
        out += (out.empty() ? "### " : "\n### ") + std::string(section.title) + "\n\n";
        out += "| key | value | default | example | meaning |\n|---|---|---|---|---|\n";
        for (const Key &key : section.keys)
            out += row(key);
    }
    return out;
}

} // namespace sluice
