#include "dataplane/port_readers.hpp"

#include <algorithm>

namespace sluice {

void choose_reader(PortFacts &facts) {
    const RingDriver *row = ring_driver(facts.dev.driver);
    if (!row) {
        facts.reader_note = "no ring reader for driver \"" + facts.dev.driver + "\"";
        return;
    }
    facts.reader = row->reader;
    facts.trust = row->trust;
    if (!facts.ring_rules())
        facts.reader_note = "driver " + facts.dev.driver +
                            " shows what left its TX ring late: the ring reading is a cross-check only";
}

std::vector<sluice_reader> wanted_readers(const std::vector<PortFacts> &ports) {
    std::vector<sluice_reader> wanted;
    for (const auto &port : ports)
        if (port.reader != SLUICE_READER_NONE)
            wanted.push_back(port.reader);
    std::sort(wanted.begin(), wanted.end());
    wanted.erase(std::unique(wanted.begin(), wanted.end()), wanted.end());
    return wanted;
}

void settle_readers(std::vector<PortFacts> &ports, const RunningLayout &found) {
    for (const auto &[reader, why] : found.missing)
        for (auto &port : ports)
            if (port.reader == reader) {
                port.reader = SLUICE_READER_NONE;
                port.trust = SLUICE_TRUST_NONE;
                port.reader_note = to_string(why);
            }
}

} // namespace sluice
