#include "api/web_assets.hpp"

#include <algorithm>
#include <array>

// One symbol pair per file; the assembler takes the bytes as they are. SLUICE_WEB_DIR comes from CMake, which
// also rebuilds this file when one of them changes.
#define SLUICE_EMBED(name, file)                                                                             \
    asm(".section .rodata,\"a\"\n.balign 16\n.global sluice_web_" #name "\nsluice_web_" #name                \
        ":\n.incbin \"" SLUICE_WEB_DIR "/" file "\"\n.global sluice_web_" #name "_end\nsluice_web_" #name    \
        "_end:\n.previous\n");                                                                               \
    extern "C" const char sluice_web_##name[], sluice_web_##name##_end[];

SLUICE_EMBED(index, "index.html")
SLUICE_EMBED(css, "sluice.css")
SLUICE_EMBED(icon, "favicon.svg")
SLUICE_EMBED(main, "main.js")
SLUICE_EMBED(view, "view.js")
SLUICE_EMBED(chart, "chart.js")
SLUICE_EMBED(series, "series.js")
SLUICE_EMBED(format, "format.js")

namespace sluice {
namespace {

constexpr const char *html = "text/html; charset=utf-8";
constexpr const char *css = "text/css; charset=utf-8";
constexpr const char *script = "text/javascript; charset=utf-8";
constexpr const char *svg = "image/svg+xml";

std::string_view text(const char *begin, const char *end) {
    return {begin, static_cast<size_t>(end - begin)};
}

const std::array assets{
    WebAsset{"/", html, text(sluice_web_index, sluice_web_index_end)},
    WebAsset{"/web/sluice.css", css, text(sluice_web_css, sluice_web_css_end)},
    WebAsset{"/web/favicon.svg", svg, text(sluice_web_icon, sluice_web_icon_end)},
    WebAsset{"/web/main.js", script, text(sluice_web_main, sluice_web_main_end)},
    WebAsset{"/web/view.js", script, text(sluice_web_view, sluice_web_view_end)},
    WebAsset{"/web/chart.js", script, text(sluice_web_chart, sluice_web_chart_end)},
    WebAsset{"/web/series.js", script, text(sluice_web_series, sluice_web_series_end)},
    WebAsset{"/web/format.js", script, text(sluice_web_format, sluice_web_format_end)},
};

} // namespace

const WebAsset *find_web_asset(std::string_view path) {
    const auto found = std::ranges::find(assets, path, &WebAsset::path);
    return found == assets.end() ? nullptr : &*found;
}

} // namespace sluice
