// `ports:` and what is under it.
#include <sluice/abi.h>

#include "core/text.hpp"
#include "policy/match_values.hpp"
#include "policy/names.hpp"
#include "policy/sections.hpp"

namespace sluice {
namespace {

constexpr size_t most_ports = SLUICE_MAX_PORTS;
constexpr long most_overhead = 256; // as in tc-cake(8)

// Counted from the Ethernet frame that XDP sees, which already has its 14-byte header; the keywords of
// tc-cake(8) count from the IP packet, so its numbers are 14 higher. In the order of overhead_words.
constexpr Overhead named_overheads[] = {
    {.bytes = 24, .mpu = 84, .cells = false}, // ethernet: preamble 8, FCS 4, inter-frame gap 12
    {.bytes = 4, .mpu = 64, .cells = false},  // docsis: FCS; cable modems meter the Ethernet frame
    {.bytes = 8, .mpu = 0, .cells = false},   // ptm (VDSL2): FCS 4, start 1, end 1, TC-CRC 2; no 64/65 coding
    {.bytes = 18, .mpu = 0, .cells = true},   // atm: bridged LLC/SNAP 10, AAL5 trailer 8
    {.bytes = 0, .mpu = 0, .cells = false},   // none
};

void read_bytes(Reader &r, const Node &n, uint32_t &out) {
    if (const auto v = r.integer(n, 0, most_overhead))
        out = static_cast<uint32_t>(*v);
}

constexpr Row<Overhead> overhead_rows[] = {
    {{.name = "bytes",
      .type = Type::integer,
      .need = Need::required,
      .example = "28",
      .meaning = "What the link adds to each Ethernet frame, counted without the 14-byte Ethernet header.",
      .least = 0,
      .most = most_overhead},
     [](Reader &r, const Node &n, Overhead &o) { read_bytes(r, n, o.bytes); }},
    {{.name = "mpu",
      .type = Type::integer,
      .fallback = "0",
      .example = "84",
      .meaning = "Smallest size a frame has on the link, overhead included.",
      .least = 0,
      .most = most_overhead},
     [](Reader &r, const Node &n, Overhead &o) { read_bytes(r, n, o.mpu); }},
};

void read_overhead(Reader &r, const Node &node, Overhead &out) {
    Overhead given{.bytes = 0, .mpu = 0, .cells = false};
    if (node.kind == Node::Kind::map)
        read_rows<Overhead>(r, node, "`overhead`", overhead_rows, given);
    else if (node.kind == Node::Kind::scalar && !node.text.empty() && node.text[0] >= '0' &&
             node.text[0] <= '9')
        read_bytes(r, node, given.bytes);
    else if (const auto i = r.word(node, overhead_words))
        given = named_overheads[*i];
    out = given;
}

void read_next_hop(Reader &r, const Node &node, Port &p) {
    p.next_hop = read_prefixes(r, node);
    for (size_t i = 0; i < p.next_hop.size(); i++) {
        if (p.next_hop[i].length != (p.next_hop[i].family == 4 ? 32 : 128))
            r.error(node, "`next_hop` is the address of a router, not a prefix");
        if (i > 0 && p.next_hop[i].family == p.next_hop[0].family)
            r.error(node, "`next_hop` takes one address of each family");
    }
}

constexpr Row<Port> port_rows[] = {
    {{.name = "device",
      .type = Type::device,
      .need = Need::required,
      .example = "eth1",
      .meaning = "Name of the network interface."},
     [](Reader &r, const Node &n, Port &p) { p.device = r.device(n).value_or(""); }},
    {{.name = "rate",
      .type = Type::rate,
      .fallback = "measured",
      .example = "50mbit",
      .meaning = "Capacity towards the network. Leave it out and sluice tracks what the link drains."},
     [](Reader &r, const Node &n, Port &p) { p.rate_bytes_per_s = r.rate(n); }},
    {{.name = "next_hop",
      .type = Type::prefixes,
      .fallback = "by routes",
      .example = "192.0.2.1",
      .meaning =
          "Router behind the port, for packets that come as another port's `overflow`: an IPv4 address, an "
          "IPv6 address or both."},
     read_next_hop},
    {{.name = "overhead",
      .type = Type::overhead,
      .fallback = "ethernet",
      .example = "docsis",
      .meaning = "What the link adds to each frame, so that rates count bytes as the link does.",
      .words = overhead_words,
      .least = 0,
      .most = most_overhead,
      .section = "overhead"},
     [](Reader &r, const Node &n, Port &p) { read_overhead(r, n, p.overhead); }},
    {{.name = "spill",
      .type = Type::section,
      .example = "{qdisc: fq_codel}",
      .meaning = "The queue of the kernel that flows with `when_full: [..., spill, drop]` wait in. Needs a "
                 "`rate`. Without "
                 "it the qdisc of the device is yours.",
      .section = "spill"},
     [](Reader &r, const Node &n, Port &p) { p.spill = read_spill(r, n); }},
    {{.name = "pause",
      .type = Type::section,
      .example = "{above: 2ms, below: 1ms}",
      .meaning = "Sends 802.3x PAUSE frames to the neighbour that feeds this port while a port that it leads "
                 "to is late.",
      .section = "pause"},
     [](Reader &r, const Node &n, Port &p) { p.pause = read_pause(r, n); }},
    {{.name = "xdp",
      .type = Type::word,
      .fallback = "auto",
      .example = "native",
      .meaning = "How sluice attaches to a port that frames come in by: `auto` takes native mode where the "
                 "driver has it, else generic mode, else tc ingress. `native` is an error where that fails; "
                 "`tc` leaves "
                 "XDP to others. Does not change while attached.",
      .words = xdp_words},
     [](Reader &r, const Node &n, Port &p) { read_word(r, n, xdp_words, p.xdp); }},
    {{.name = "attach",
      .type = Type::word,
      .fallback = "direct",
      .example = "dispatcher",
      .meaning =
          "`direct`: sluice is the only XDP program of a port that frames come in by. `dispatcher`: one of "
          "several that libxdp calls in turn. Does not change while attached.",
      .words = attach_words},
     [](Reader &r, const Node &n, Port &p) { read_word(r, n, attach_words, p.attach); }},
};

} // namespace

std::vector<Port> read_ports(Reader &r, const Node &node) {
    std::vector<Port> ports;
    if (!r.want_map(node, "`ports`"))
        return ports;
    if (node.children.empty())
        r.error(node, "`ports` must not be empty");
    if (node.children.size() > most_ports)
        r.error(node.children[most_ports], "a policy has at most " + std::to_string(most_ports) + " ports");
    for (const Node &entry : node.children) {
        Port port;
        port.name = entry.key;
        port.pos = entry.key_pos;
        r.check_identifier(entry.key_pos, entry.key);
        read_rows<Port>(r, entry, "port " + quote(entry.key), port_rows, port);
        if (port.xdp == XdpChoice::tc && port.attach == AttachChoice::dispatcher)
            r.error(entry, "`xdp: tc` uses no XDP: `attach: dispatcher` has no meaning with it");
        ports.push_back(std::move(port));
    }
    return ports;
}

Section port_section() {
    return section_of<Port>("port", "A port: `ports.<name>`", port_rows);
}

Section overhead_section() {
    return section_of<Overhead>("overhead", "Overhead in numbers: `ports.<name>.overhead`", overhead_rows);
}

} // namespace sluice
