#include "dataplane/facts.hpp"

#include "dataplane/port_readers.hpp"

namespace sluice {
Result<std::vector<PortFacts>> query_ports(const Policy &policy) {
    std::vector<PortFacts> all;
    for (const auto &port : policy.ports) {
        auto dev = query_netdev(port.device);
        if (!dev)
            return fail("port " + port.name + ": " + dev.error().what, dev.error().cure);
        PortFacts facts;
        facts.dev = *dev;
        choose_reader(facts);
        all.push_back(facts);
    }
    return all;
}

} // namespace sluice
