// Explained verdicts as a pcapng capture (draft-ietf-opsawg-pcapng): one interface per ingress port, one
// Enhanced Packet Block per verdict, with the reason as packet comment and the XDP action as epb_verdict.
// Pure: text in bytes out; who writes them where is the caller's business.
#pragma once

#include <string>
#include <vector>

#include "telemetry/drop_record.hpp"

namespace sluice {

// "drop_limit: class bulk (policy.yaml:12), phantom delay 10.4ms, ring 0 3/1000 ..."
std::string drop_comment(const DropRecord &record);

class PcapngWriter {
  public:
    // Section header; the first bytes of the file.
    std::string begin() const;
    // Blocks of one verdict, the interface's own before its first packet. Whole blocks: a reader may follow.
    std::string packet(const DropRecord &record);

  private:
    std::vector<std::string> interfaces_; // names by pcapng interface id
};

} // namespace sluice
