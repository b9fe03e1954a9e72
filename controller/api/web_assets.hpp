// The files of controller/api/web, part of the program: the page needs nothing from anywhere else.
#pragma once

#include <string_view>

namespace sluice {

struct WebAsset {
    std::string_view path; // of the request
    std::string_view content_type;
    std::string_view body;
};

// Null where there is no such file.
const WebAsset *find_web_asset(std::string_view path);

} // namespace sluice
