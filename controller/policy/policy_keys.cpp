// The outermost map of the policy file.
#include <climits>

#include "policy/sections.hpp"

namespace sluice {
namespace {

constexpr int version = 1; // of the policy language

constexpr Row<Policy> rows[] = {
    {{.name = "version",
      .type = Type::version,
      .need = Need::required,
      .example = "1",
      .meaning = "Version of the policy language. Always 1 today."},
     [](Reader &r, const Node &n, Policy &p) {
         const auto v = r.integer(n, 0, INT_MAX);
         if (v && *v != version)
             r.error(n, "this sluice reads version " + std::to_string(version) + " of the policy language");
         p.version = static_cast<int>(v.value_or(version));
     }},
    {{.name = "ports",
      .type = Type::section_by_name,
      .need = Need::required,
      .example = "{lan: {device: eth0}, wan: {device: eth1}}",
      .meaning = "The interfaces sluice knows, by the names the rest of the file uses. At most 16.",
      .section = "port"},
     [](Reader &r, const Node &n, Policy &p) { p.ports = read_ports(r, n); }},
    {{.name = "transitions",
      .type = Type::section_list,
      .need = Need::required,
      .example = "[{from: lan, to: wan}]",
      .meaning = "Which ports feed which, and how the queue in front of the slower one behaves.",
      .section = "transition"},
     [](Reader &r, const Node &n, Policy &p) { p.transitions = read_transitions(r, n); }},
};

} // namespace

Policy read_policy(Reader &r, const Node &root) {
    Policy policy;
    read_rows<Policy>(r, root, "the policy", rows, policy);
    return policy;
}

Section policy_section() {
    return section_of<Policy>("policy", "The file", rows);
}

std::vector<Section> policy_sections() {
    return {policy_section(), port_section(),           overhead_section(),    spill_section(),
            pause_section(),  transition_section(),     aqm_section(),         l4s_section(),
            class_section(),  trim_section(),           match_section(),       tenants_section(),
            tenant_section(), tenant_default_section(), tenant_group_section()};
}

} // namespace sluice
