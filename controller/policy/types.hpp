// How each Type is described to people and to a JSON Schema.
#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

#include "policy/keys.hpp"

namespace sluice {

std::string type_text(const Key &key);
nlohmann::ordered_json type_schema(const Key &key);

} // namespace sluice
