#include "cli/explain_format.hpp"

#include "cli/tc_units.hpp"

namespace sluice {

std::string format_explanation(const Explanation &e) {
    std::string out = e.ingress_port + " -> " + e.egress_port + ": class " + e.class_name;
    out += e.tenant.empty() ? "" : " of tenant " + e.tenant;
    out += (e.by_default ? ", no match holds, " : ", by the match at ") + e.policy_file + ":" +
           std::to_string(e.policy_line) + "\n";
    out += "  now     " + e.now + "\n";
    out += "  flow    ";
    out += e.active ? "bucket " + std::to_string(e.bucket) + ", backlog " + tc_size(e.backlog_bytes) +
                          ", phantom delay " + tc_time(e.delay_ns) + (e.unresponsive ? ", unresponsive" : "")
                    : "not active";
    out += "\n  class   " + tc_rate(e.class_rate_bytes_per_s) + ", " + std::to_string(e.active_flows) +
           " backlogged flows, target " + tc_time(e.target_ns) + ", limit " + tc_time(e.limit_ns) +
           (e.mode == "shadow" ? ", mode shadow" : "") + "\n";
    out += "  ring    sojourn " + tc_time(e.ring_delay_ns) + "\n";
    for (size_t i = 0; i < e.limits.size(); i++)
        out += (i ? "          " : "  limits  ") + e.limits[i] + "\n";
    return out;
}

} // namespace sluice
