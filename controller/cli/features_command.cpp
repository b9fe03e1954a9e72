// `sluicectl features`: what this kernel and these interfaces can do for sluice. Needs no daemon and changes
// nothing.
#include <iostream>

#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "cli/features_format.hpp"
#include "control/names.hpp"
#include "dataplane/xdp_features.hpp"

namespace sluice {
namespace {

using Json = nlohmann::ordered_json;

Json to_json(const std::vector<Finding> &findings) {
    Json list = Json::array();
    for (const auto &f : findings)
        list.push_back({{"what", f.what}, {"cure", f.cure}, {"hurts", f.hurts}});
    return list;
}

template <class T> Json or_null(const std::optional<T> &value) {
    return value ? Json(*value) : Json(nullptr);
}

Json to_json(const Preflight &p) {
    Json j{{"device", p.dev.name},
           {"ifindex", p.dev.ifindex},
           {"driver", p.dev.driver},
           {"kind", p.dev.kind},
           {"up", p.dev.up},
           {"carrier", p.dev.carrier},
           {"mtu", p.dev.mtu},
           {"xdp_prog", p.dev.xdp_prog},
           {"xdp_features", or_null(p.features)},
           {"native", ability_word(p.native)},
           {"xmit", ability_word(p.xmit)},
           {"frags", p.frags},
           {"linear_mtu", p.linear_mtu},
           {"reader", reader_name(p.reader)},
           {"trust", trust_name(p.trust)},
           {"gro", or_null(p.gro)},
           {"speed_bits_per_s", or_null(p.speed_bits_per_s)}};
    j["rings"] = p.rings ? Json{{"rx", p.rings->rx},
                                {"tx", p.rings->tx},
                                {"most_rx", p.rings->most_rx},
                                {"most_tx", p.rings->most_tx}}
                         : Json(nullptr);
    j["channels"] =
        p.channels ? Json{{"rx", p.channels->rx}, {"tx", p.channels->tx}, {"combined", p.channels->combined}}
                   : Json(nullptr);
    j["receive"] = to_json(receive_findings(p));
    j["transmit"] = to_json(transmit_findings(p));
    return j;
}

Json to_json(const KernelSupport &k) {
    return {{"release", k.release}, {"supported", k.supported()},   {"missing", k.missing},
            {"types", k.types},     {"typed_reads", k.typed_reads}, {"xdp_features", k.xdp_features},
            {"tcx", k.tcx},         {"lockdown", k.lockdown}};
}

Result<std::vector<Netdev>> chosen(const std::vector<std::string> &names) {
    if (names.empty())
        return list_netdevs();
    std::vector<Netdev> out;
    for (const auto &name : names) {
        auto dev = query_netdev(name);
        if (!dev)
            return tl::unexpected(dev.error());
        out.push_back(std::move(*dev));
    }
    return out;
}

} // namespace

ExitCode run_features(const Context &context, const std::vector<std::string> &devices) {
    const KernelSupport kernel = kernel_support();
    const auto devs = chosen(devices);
    if (!devs) {
        context.err << "sluicectl: " << to_string(devs.error()) << "\n";
        return ExitCode::failed;
    }
    std::vector<Preflight> all;
    for (const auto &dev : *devs)
        all.push_back(preflight(dev));
    if (context.format == OutputFormat::json) {
        Json interfaces = Json::array();
        for (const auto &p : all)
            interfaces.push_back(to_json(p));
        context.out << Json{{"kernel", to_json(kernel)}, {"interfaces", interfaces}}.dump(2) << "\n";
    } else {
        context.out << format_features(kernel, all);
    }
    return kernel.supported() ? ExitCode::ok : ExitCode::kernel_unsupported;
}

} // namespace sluice
