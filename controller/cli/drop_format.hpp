// A verdict as one line for a terminal.
#pragma once

#include <string>

#include "telemetry/drop_record.hpp"

namespace sluice {

// "23:12:01.123456 drop_limit UDP 10.0.0.1:4000 > 10.0.0.2:53 ... : time (local), reason, flow, then why.
std::string format_drop(const DropRecord &record);
// "UDP", "TCP", "proto 89"
std::string protocol_name(uint8_t proto);
// "10.0.0.1:53", "[fd00::1]:53", "10.0.0.1" where the protocol has no ports
std::string endpoint(const std::string &address, uint16_t port, uint8_t proto);

} // namespace sluice
