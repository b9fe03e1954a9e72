#include "cli/pcapng.hpp"

#include <sluice/abi.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "cli/tc_units.hpp"

namespace sluice {
namespace {

// Block types, option codes and constants of the pcapng specification.
constexpr uint32_t kSectionHeader = 0x0A0D0D0A, kInterface = 1, kEnhancedPacket = 6;
constexpr uint32_t kByteOrderMagic = 0x1A2B3C4D;
constexpr uint16_t kEndOfOptions = 0, kComment = 1;
constexpr uint16_t kUserApplication = 4;                 // section header
constexpr uint16_t kInterfaceName = 2, kTimeUnit = 9;    // interface
constexpr uint16_t kPacketFlags = 2, kPacketVerdict = 7; // packet
constexpr uint16_t kEthernet = 1;
constexpr uint32_t kInbound = 1;
constexpr uint8_t kVerdictXdp = 2, kXdpDrop = 1, kXdpRedirect = 4;

// Host byte order: the magic tells the reader.
template <class T> void put(std::string &out, T value) {
    out.append(reinterpret_cast<const char *>(&value), sizeof(value));
}

void put_padded(std::string &out, const void *data, size_t bytes) {
    out.append(static_cast<const char *>(data), bytes);
    out.append((4 - bytes % 4) % 4, '\0');
}

void put_option(std::string &out, uint16_t code, const void *data, size_t bytes) {
    bytes = std::min<size_t>(bytes, UINT16_MAX);
    put(out, code);
    put(out, static_cast<uint16_t>(bytes));
    put_padded(out, data, bytes);
}

void put_option(std::string &out, uint16_t code, const std::string &text) {
    put_option(out, code, text.data(), text.size());
}

std::string block(uint32_t type, std::string body) {
    put(body, kEndOfOptions);
    put(body, uint16_t{0});
    const auto length = static_cast<uint32_t>(body.size() + 3 * sizeof(uint32_t));
    std::string out;
    put(out, type);
    put(out, length);
    out += body;
    put(out, length);
    return out;
}

std::string interface_block(const std::string &name) {
    constexpr uint8_t nanoseconds = 9;
    std::string body;
    put(body, kEthernet);
    put(body, uint16_t{0});
    put(body, uint32_t{SLUICE_EVENT_FRAME});
    put_option(body, kInterfaceName, name);
    put_option(body, kTimeUnit, &nanoseconds, 1);
    return block(kInterface, body);
}

} // namespace

std::string drop_comment(const DropRecord &r) {
    std::string text = r.reason + ": " + r.ingress_port + " -> " + r.egress_port + ", class " + r.class_name;
    if (!r.tenant.empty())
        text += " of " + r.tenant;
    if (r.policy_line)
        text += " (" + r.policy_file + ":" + std::to_string(r.policy_line) + ")";
    text += ", phantom delay " + tc_time(r.delay_ns) + ", ring " + std::to_string(r.ring) + " " +
            std::to_string(r.ring_occupancy) + "/" + std::to_string(r.ring_size) + " sojourn " +
            tc_time(r.ring_sojourn_ns) + " predicted " + tc_time(r.ring_delay_ns) + ", flow bucket " +
            std::to_string(r.bucket);
    return text;
}

std::string PcapngWriter::begin() const {
    std::string body;
    put(body, kByteOrderMagic);
    put(body, uint16_t{1}); // version 1.0
    put(body, uint16_t{0});
    put(body, int64_t{-1}); // length of the section: not known
    put_option(body, kUserApplication, "sluicectl " SLUICE_VERSION);
    return block(kSectionHeader, body);
}

std::string PcapngWriter::packet(const DropRecord &r) {
    std::string out;
    auto found = std::ranges::find(interfaces_, r.ingress_port);
    if (found == interfaces_.end()) {
        out = interface_block(r.ingress_port);
        found = interfaces_.insert(found, r.ingress_port);
    }
    const auto time_ns = static_cast<uint64_t>(std::llround(r.unix_s * 1e6)) * 1000; // a double holds no more
    const auto captured = static_cast<uint32_t>(r.frame.size());
    std::string verdict{static_cast<char>(kVerdictXdp)};
    put(verdict, uint64_t{r.reason.starts_with("drop") ? kXdpDrop : kXdpRedirect});

    std::string body;
    put(body, static_cast<uint32_t>(found - interfaces_.begin()));
    put(body, static_cast<uint32_t>(time_ns >> 32));
    put(body, static_cast<uint32_t>(time_ns));
    put(body, captured);
    put(body, std::max(r.frame_bytes, captured));
    put_padded(body, r.frame.data(), captured);
    put_option(body, kComment, drop_comment(r));
    put_option(body, kPacketFlags, &kInbound, sizeof(kInbound));
    put_option(body, kPacketVerdict, verdict);
    return out + block(kEnhancedPacket, body);
}

} // namespace sluice
