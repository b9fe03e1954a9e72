// Policy text of any kind: it is refused with a place, or it compiles to tables that hold together.
#include <algorithm>

#include "fuzz.hpp"
#include "policy/compile.hpp"
#include "policy/load.hpp"

namespace sluice::fuzz {
namespace {

void check_diagnostics(const LoadResult &loaded, std::string_view text) {
    const auto lines = 1 + std::count(text.begin(), text.end(), '\n');
    const auto returns = std::count(text.begin(), text.end(), '\r'); // ends a line too, in YAML
    bool error = false;
    for (const Diagnostic &d : loaded.diagnostics) {
        error |= d.severity == Diagnostic::error;
        require(!d.message.empty() && !format(d).empty(), "a diagnostic says something");
        require(d.pos.line >= 0 && d.pos.line <= lines + returns, "a diagnostic is about a line of the file");
    }
    require(error != loaded.policy.has_value(), "a policy, or an error that says why not");
}

void check_tables(const CompiledPolicy &policy) {
    for (const CompiledTransition &t : policy.transitions) {
        require(t.to < policy.source.ports.size(), "a transition leads to a port");
        require(t.first_class + t.class_count() <= policy.class_count, "class ids are within the table");
        require(t.image.default_class < t.classes.size(), "the default class exists");
        for (const uint16_t index : t.image.class_of)
            require(index < t.classes.size(), "a rule leads to a class");
        for (const CompiledPrefix &p : t.prefixes)
            require(p.key.bits <= 32 + 128 && p.value.tenant < t.tenants, "a prefix leads to a tenant");
    }
    for (uint32_t port = 0; port < policy.source.ports.size(); port++) {
        const auto tree = scheduling_tree(policy, port);
        for (size_t i = 1; i < tree.size(); i++)
            require(tree[i].parent < i, "parents come before their children");
    }
}

} // namespace
} // namespace sluice::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    using namespace sluice;
    const auto text = fuzz::text_of(data, size);
    LoadResult loaded = load_policy_text(text, "policy.yaml");
    fuzz::check_diagnostics(loaded, text);
    if (loaded.policy)
        fuzz::check_tables(compile(std::move(*loaded.policy)));
    return 0;
}
