// sluicectl explain: asks the daemon what would happen to a packet, and says it.
#include <iostream>

#include <curl/curl.h>

#include "api/json.hpp"
#include "cli/client.hpp"
#include "cli/commands.hpp"
#include "cli/explain_format.hpp"
#include "cli/report_error.hpp"

namespace sluice {
namespace {

std::string query_of(const ExplainOptions &o) {
    std::string out;
    for (const auto &[name, value] :
         {std::pair{"src", &o.src}, std::pair{"dst", &o.dst}, std::pair{"sport", &o.sport},
          std::pair{"dport", &o.dport}, std::pair{"proto", &o.proto}, std::pair{"dscp", &o.dscp},
          std::pair{"vlan", &o.vlan}, std::pair{"length", &o.length}, std::pair{"in", &o.in}}) {
        if (value->empty())
            continue;
        char *escaped = curl_easy_escape(nullptr, value->c_str(), static_cast<int>(value->size()));
        out += (out.empty() ? "?" : "&") + std::string(name) + "=" + (escaped ? escaped : "");
        curl_free(escaped);
    }
    return out;
}

} // namespace

ExitCode run_explain(const Context &context, const ExplainOptions &options) {
    const auto answer = Client(context.control_socket).get("/api/v1/explain" + query_of(options));
    if (!answer)
        return report_error(context, answer.error());
    if (answer->status != 200) {
        report_error(context, {error_from_json(answer->status, answer->body), {}});
        return answer->status == 400 ? ExitCode::usage : ExitCode::failed;
    }
    const auto found = explanations_from_json(answer->body);
    if (!found)
        return report_error(context, found.error());
    if (context.format == OutputFormat::json) {
        context.out << answer->body;
        return ExitCode::ok;
    }
    for (const auto &explanation : *found)
        context.out << format_explanation(explanation);
    if (found->size() > 1)
        context.out << "Which of these it is, the kernel's routes decide: ip route get " << options.dst
                    << "\n";
    return ExitCode::ok;
}

} // namespace sluice
