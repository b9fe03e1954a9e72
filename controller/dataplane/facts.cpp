#include "dataplane/facts.hpp"

namespace sluice {
namespace {

struct ReaderRow {
    const char *driver; // as ethtool -i says
    sluice_reader reader;
};
constexpr ReaderRow kReaders[] = {
    {"tun", SLUICE_READER_TUN},
    {"veth", SLUICE_READER_VETH},
    {"virtio_net", SLUICE_READER_VIRTIO},
};

sluice_reader reader_for(const std::string &driver) {
    for (const auto &row : kReaders)
        if (driver == row.driver)
            return row.reader;
    return SLUICE_READER_NONE;
}

} // namespace

Result<std::vector<PortFacts>> query_ports(const Policy &policy) {
    std::vector<PortFacts> all;
    for (const auto &port : policy.ports) {
        auto dev = query_netdev(port.device);
        if (!dev)
            return fail("port " + port.name + ": " + dev.error().what, dev.error().cure);
        PortFacts facts;
        facts.dev = *dev;
        facts.reader = reader_for(dev->driver);
        all.push_back(facts);
    }
    return all;
}

} // namespace sluice
