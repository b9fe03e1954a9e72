#include "cli/ledger_format.hpp"

#include <algorithm>
#include <cstdio>
#include <string_view>

namespace sluice {
namespace {

constexpr int kNameWidth = 18, kNumberWidth = 16;

std::string row(std::string_view indent, std::string_view name, const std::string &frames) {
    char text[96];
    const int width = kNameWidth - static_cast<int>(indent.size());
    std::snprintf(text, sizeof(text), "%.*s%-*.*s%*s\n", static_cast<int>(indent.size()), indent.data(),
                  width, static_cast<int>(name.size()), name.data(), kNumberWidth, frames.c_str());
    return text;
}

// Verdicts and losses always have their line; of the reasons to pass a frame, those that occurred.
std::string rows(const std::vector<Count> &counts) {
    std::string out;
    for (const auto &count : counts)
        if (count.packets || !count.name.starts_with("pass_"))
            out += row("   ", count.name, std::to_string(count.packets));
    return out;
}

std::string port_lines(const PortState &port) {
    const Ledger &l = port.ledger;
    std::string out = "port " + port.name + " dev " + port.device + "\n";
    out += row(" ", "received", std::to_string(l.received)) + rows(l.outcomes);
    out += row("   ", "unexplained", std::to_string(l.unexplained_received));
    out += row(" ", "admitted", std::to_string(l.admitted)) + row("   ", "sent", std::to_string(l.sent));
    out += row("   ", "pending", std::to_string(l.pending)) + rows(l.kernel_drops);
    if (l.unseen)
        out += row("   ", "unseen", std::to_string(l.unseen));
    out += row("   ", "unexplained", std::to_string(l.unexplained_admitted));
    if (l.in_flight)
        out += row(" ", "moved meanwhile", std::to_string(l.in_flight));
    return out;
}

} // namespace

std::string format_ledger(const Snapshot &snapshot) {
    std::string out;
    for (const auto &port : snapshot.ports)
        out += port_lines(port);
    if (snapshot.unexplained_redirects)
        out +=
            "redirected, but admitted to no port: " + std::to_string(snapshot.unexplained_redirects) + "\n";
    return out;
}

bool all_explained(const Snapshot &snapshot) {
    return snapshot.unexplained_redirects == 0 &&
           std::all_of(snapshot.ports.begin(), snapshot.ports.end(), [](const PortState &port) {
               return port.ledger.unexplained_received == 0 && port.ledger.unexplained_admitted == 0;
           });
}

} // namespace sluice
