#include "cli/features_format.hpp"

#include <algorithm>
#include <array>

#include "cli/tc_units.hpp"
#include "control/names.hpp"

namespace sluice {
namespace {

constexpr size_t kColumns = 9;
using Cells = std::array<std::string, kColumns>;

std::string words(bool yes) {
    return yes ? "yes" : "no";
}

std::string xdp_cell(const Preflight &p) {
    switch (p.native) {
    case Ability::yes:
        return !p.mtu_fits() ? "generic (MTU)" : p.frags ? "native, frags" : "native";
    case Ability::no:
        return "generic";
    default:
        return "unknown";
    }
}

std::string xmit_cell(Ability ability) {
    return ability == Ability::with_program ? "with program" : std::string(ability_word(ability));
}

std::string rings_cell(const Preflight &p) {
    return p.rings ? std::to_string(p.rings->rx) + "/" + std::to_string(p.rings->tx) : "-";
}

std::string channels_cell(const Preflight &p) {
    if (!p.channels)
        return "-";
    const Channels &c = *p.channels;
    return c.combined ? std::to_string(c.combined) : std::to_string(c.rx) + "/" + std::to_string(c.tx);
}

std::string mtu_cell(const Preflight &p) {
    const std::string limit = !p.linear_mtu ? "-" : p.frags ? "frags" : std::to_string(p.linear_mtu);
    return std::to_string(p.dev.mtu) + "/" + limit;
}

Cells cells(const Preflight &p) {
    const std::string reader = std::string(reader_name(p.reader)) +
                               (p.reader == SLUICE_READER_NONE ? "" : " " + std::string(trust_name(p.trust)));
    return {p.dev.name,       p.dev.driver.empty() ? "-" : p.dev.driver,
            xdp_cell(p),      xmit_cell(p.xmit),
            reader,           rings_cell(p),
            channels_cell(p), p.speed_bits_per_s ? tc_rate(*p.speed_bits_per_s / 8) : "-",
            mtu_cell(p)};
}

std::string table(const std::vector<Cells> &rows) {
    std::array<size_t, kColumns> width{};
    for (const auto &row : rows)
        for (size_t i = 0; i < kColumns; i++)
            width[i] = std::max(width[i], row[i].size());
    std::string out;
    for (const auto &row : rows) {
        std::string line;
        for (size_t i = 0; i < kColumns; i++)
            line += row[i] + std::string(width[i] - row[i].size() + 2, ' ');
        out += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
    }
    return out;
}

std::string notes(const Preflight &p) {
    std::string out;
    const auto add = [&](const char *as, const std::vector<Finding> &findings) {
        for (const auto &f : findings)
            out += p.dev.name + " as " + as + ": " + f.what + "\n" +
                   (f.cure.empty() ? "" : "  -> " + f.cure + "\n");
    };
    add("from", receive_findings(p));
    add("to", transmit_findings(p));
    return out;
}

std::string kernel_line(const KernelSupport &k) {
    std::string out = "kernel " + k.release + (k.supported() ? " supported" : " NOT SUPPORTED") + ", types " +
                      words(k.types) + ", typed reads " + words(k.typed_reads) + ", xdp-features " +
                      words(k.xdp_features) + ", tcx " + words(k.tcx) + ", lockdown " +
                      (k.lockdown.empty() ? "-" : k.lockdown) + "\n";
    for (const auto &what : k.missing)
        out += "  missing: " + what + "\n";
    return out;
}

} // namespace

std::string_view ability_word(Ability ability) {
    constexpr std::array<std::string_view, 4> kWords{"no", "yes", "with_program", "unknown"};
    return kWords[static_cast<size_t>(ability)];
}

std::string format_features(const KernelSupport &kernel, const std::vector<Preflight> &interfaces) {
    std::vector<Cells> rows{{"DEVICE", "DRIVER", "XDP", "REDIRECT TO IT", "RING READER", "RINGS RX/TX",
                             "CHANNELS", "SPEED", "MTU/LIMIT"}};
    std::string below;
    for (const auto &p : interfaces) {
        rows.push_back(cells(p));
        below += notes(p);
    }
    return kernel_line(kernel) + "\n" + table(rows) + (below.empty() ? "" : "\n" + below);
}

} // namespace sluice
