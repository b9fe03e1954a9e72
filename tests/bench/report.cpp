#include "report.hpp"

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

namespace sluice::bench {
namespace {

double median_of(const Report &report, const std::string &program) {
    const auto at = report.variants.find("live." + program + ".ipv4.1flows");
    return at == report.variants.end() ? 0 : at->second.median_ns;
}

double spread_of(const Report &report, const std::string &program) {
    const auto at = report.variants.find("live." + program + ".ipv4.1flows");
    return at == report.variants.end() ? 0 : (at->second.p90_ns - at->second.p10_ns) / at->second.median_ns;
}

constexpr double kNsPerUs = 1e3; // frames per us = Mpps

nlohmann::json to_json(const Figures &f) {
    return {{"median_ns", f.median_ns},
            {"min_ns", f.min_ns},
            {"p10", f.p10_ns},
            {"p90", f.p90_ns},
            {"rounds", f.rounds}};
}

constexpr std::pair<const char *, const char *> kSteps[] = {
    {"bare_redirect", "bare redirect"},     {"part_hook", "egress hook, entered"},
    {"part_enter", "enter, look up rows"},  {"part_parse", "parse headers, count"},
    {"part_route", "route: FIB, checks"},   {"part_classify", "classify, hash the flow"},
    {"part_admit", "admit: laws, charge"},  {"part_send", "rewrite, note, account"},
    {"sluice_fib", "read the ring, stamp"},
};

std::vector<Part> parts_of(const Rounds &rounds, const std::string &family) {
    std::vector<Part> parts;
    const std::vector<double> *before = nullptr;
    for (const auto &[program, name] : kSteps) {
        const auto at = rounds.find("live." + std::string(program) + "." + family + ".1flows");
        if (at == rounds.end() || (before && before->size() != at->second.size()))
            return {}; // a quick run, or one that lost frames in some round
        std::vector<double> added = at->second;
        for (size_t i = 0; before && i < added.size(); i++)
            added[i] -= (*before)[i];
        parts.push_back({name, figures(added)});
        before = &at->second;
    }
    return parts;
}

} // namespace

Report make_report(const Rounds &rounds) {
    Report report;
    for (const auto &[name, ns] : rounds)
        report.variants[name] = figures(ns);
    for (const char *family : {"ipv4", "ipv6"})
        report.parts[family] = parts_of(rounds, family);
    report.added_ns = median_of(report, "sluice_fib") - median_of(report, "bare_fib");
    report.live_ratio = median_of(report, "sluice_xconnect") / median_of(report, "bare_redirect");
    report.worst_spread = std::max(spread_of(report, "bare_redirect"), spread_of(report, "bare_fib"));
    return report;
}

void print(const Report &report) {
    std::printf("%-52s %8s %8s %8s %8s %8s\n", "ns per frame; Mpps of one core", "median", "min", "p10",
                "p90", "Mpps");
    for (const auto &[name, f] : report.variants)
        std::printf("%-52s %8.1f %8.1f %8.1f %8.1f %8.2f\n", name.c_str(), f.median_ns, f.min_ns, f.p10_ns,
                    f.p90_ns, kNsPerUs / f.median_ns);
    for (const auto &[family, parts] : report.parts)
        for (const Part &part : parts)
            std::printf("%s%-40s %8.1f %8.1f %8.1f %8.1f\n",
                        &part == &parts.front() ? ("\n" + family + " by part\n").c_str() : "",
                        part.name.c_str(), part.added.median_ns, part.added.min_ns, part.added.p10_ns,
                        part.added.p90_ns);
    std::printf("\nadded_ns_per_packet %.1f   live_ratio %.3f\n", report.added_ns, report.live_ratio);
    if (report.worst_spread > 0.1)
        std::printf("The machine was not quiet: the baselines spread by %.0f %%.\n",
                    report.worst_spread * 100);
}

Result<> write_json(const Report &report, const Machine &machine, const std::string &path) {
    nlohmann::json variants;
    for (const auto &[name, f] : report.variants)
        variants[name] = to_json(f);
    nlohmann::json parts;
    for (const auto &[family, steps] : report.parts)
        for (const Part &part : steps)
            parts[family].push_back({{"name", part.name}, {"added", to_json(part.added)}});
    const nlohmann::json all = {{"added_ns_per_packet", report.added_ns},
                                {"live_ratio", report.live_ratio},
                                {"baseline_spread", report.worst_spread},
                                {"variants", variants},
                                {"parts", parts},
                                {"machine",
                                 {{"kernel", machine.kernel},
                                  {"cpu_model", machine.cpu_model},
                                  {"cpus", machine.cpus},
                                  {"clocksource", machine.clocksource},
                                  {"date", machine.date}}}};
    std::ofstream file(path);
    file << all.dump(2) << '\n';
    if (!file.flush())
        return fail_errno(errno, "write " + path);
    return {};
}

} // namespace sluice::bench
