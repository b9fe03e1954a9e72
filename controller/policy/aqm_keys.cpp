// `aqm:` of a transition: the law that decides on marks and drops.
#include "policy/names.hpp"
#include "policy/sections.hpp"

namespace sluice {
namespace {

void read_duration(Reader &r, const Node &n, std::optional<uint64_t> &out) {
    if (!r.is_auto(n))
        out = r.duration_ns(n);
}

constexpr Row<Aqm> l4s_rows[] = {
    {{.name = "step",
      .type = Type::duration_or_auto,
      .fallback = "auto",
      .example = "1ms",
      .meaning = "Delay above which every ECT(1) packet is marked CE (RFC 9331)."},
     [](Reader &r, const Node &n, Aqm &a) { read_duration(r, n, a.l4s_step_ns); }},
};

constexpr Row<Aqm> rows[] = {
    {{.name = "law",
      .type = Type::word,
      .fallback = "codel",
      .example = "pi2",
      .meaning =
          "The AQM law, on the delay that fair queueing would give the packet: CoDel (RFC 8289), or PI2 "
          "with coupled L4S marking (RFC 9332).",
      .words = law_words},
     [](Reader &r, const Node &n, Aqm &a) { read_word(r, n, law_words, a.law); }},
    {{.name = "target",
      .type = Type::duration_or_auto,
      .fallback = "auto",
      .example = "5ms",
      .meaning = "Standing delay that the law accepts. `auto` follows the rate and the size of the TX ring."},
     [](Reader &r, const Node &n, Aqm &a) { read_duration(r, n, a.target_ns); }},
    {{.name = "interval",
      .type = Type::duration_or_auto,
      .fallback = "auto",
      .example = "100ms",
      .meaning =
          "CoDel: how long the delay must stay above `target` before it acts, about one round trip. PI2: "
          "the longest round trip it is tuned for."},
     [](Reader &r, const Node &n, Aqm &a) { read_duration(r, n, a.interval_ns); }},
    {{.name = "limit",
      .type = Type::duration_or_auto,
      .fallback = "auto",
      .example = "10ms",
      .meaning =
          "Delay above which a flow's packets are refused; ECT packets are marked up to twice as much, "
          "and the first bytes of a flow, as many as five limits, may wait as long where its limit is "
          "10 KiB or more: slow start comes in bursts. `auto`: 20 ms, more for fewer than three flows, "
          "never more than the ring; while the ring has room, ECT packets are marked and first bytes wait "
          "up to three limits."},
     [](Reader &r, const Node &n, Aqm &a) { read_duration(r, n, a.limit_ns); }},
    {{.name = "ecn",
      .type = Type::boolean,
      .fallback = "true",
      .example = "false",
      .meaning = "Mark ECN-capable packets instead of dropping them."},
     [](Reader &r, const Node &n, Aqm &a) { a.ecn = r.boolean(n).value_or(a.ecn); }},
    {{.name = "l4s",
      .type = Type::section,
      .example = "{step: 1ms}",
      .meaning = "Treatment of ECT(1) packets, which are L4S.",
      .section = "l4s"},
     [](Reader &r, const Node &n, Aqm &a) { read_rows<Aqm>(r, n, "`l4s`", l4s_rows, a); }},
};

void check_order(Reader &r, const Node &aqm, const Aqm &a) {
    if (a.target_ns && a.interval_ns && *a.target_ns >= *a.interval_ns)
        r.error(*aqm.find("target"), "`target` must be shorter than `interval`");
    if (a.target_ns && a.limit_ns && *a.target_ns > *a.limit_ns)
        r.error(*aqm.find("target"), "`target` must not be longer than `limit`");
    if (a.l4s_step_ns && a.limit_ns && *a.l4s_step_ns > *a.limit_ns)
        r.error(*aqm.find("l4s")->find("step"),
                "`step` must not be longer than `limit`: nothing would be marked");
}

} // namespace

void read_aqm(Reader &r, const Node &node, Aqm &out) {
    if (read_rows<Aqm>(r, node, "`aqm`", rows, out))
        check_order(r, node, out);
}

Section aqm_section() {
    return section_of<Aqm>("aqm", "The AQM: `transitions[].aqm`, `classes[].aqm`", rows);
}

Section l4s_section() {
    return section_of<Aqm>("l4s", "L4S: `transitions[].aqm.l4s`", l4s_rows);
}

} // namespace sluice
