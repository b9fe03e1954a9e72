// `spill:` and `pause:` of a port.
#include "policy/names.hpp"
#include "policy/sections.hpp"

namespace sluice {
namespace {

constexpr long least_limit = 10, most_limit = 100'000;

constexpr Row<SpillQueue> spill_rows[] = {
    {{.name = "qdisc",
      .type = Type::word,
      .fallback = "fq_codel",
      .example = "pfifo",
      .meaning = "Kind of the queue. It stands under a token bucket (tbf) whose rate sluice sets.",
      .words = spill_words},
     [](Reader &r, const Node &n, SpillQueue &q) { read_word(r, n, spill_words, q.kind); }},
    {{.name = "limit",
      .type = Type::integer,
      .fallback = "1000",
      .example = "2000",
      .meaning = "Packets that it holds.",
      .least = least_limit,
      .most = most_limit},
     [](Reader &r, const Node &n, SpillQueue &q) {
         if (const auto v = r.integer(n, least_limit, most_limit))
             q.limit = static_cast<uint32_t>(*v);
     }},
};

void read_delay(Reader &r, const Node &n, uint64_t &out) {
    if (!r.is_auto(n))
        out = r.duration_ns(n).value_or(out);
}

constexpr Row<Pause> pause_rows[] = {
    {{.name = "above",
      .type = Type::duration_or_auto,
      .fallback = "auto",
      .example = "5ms",
      .meaning =
          "Delay in the TX ring of the slow port above which the neighbour shall pause. `auto`: 2 ms."},
     [](Reader &r, const Node &n, Pause &p) { read_delay(r, n, p.above_ns); }},
    {{.name = "below",
      .type = Type::duration_or_auto,
      .fallback = "auto",
      .example = "2ms",
      .meaning = "Delay below which it may go on. `auto`: half of `above`."},
     [](Reader &r, const Node &n, Pause &p) { read_delay(r, n, p.below_ns); }},
};

} // namespace

SpillQueue read_spill(Reader &r, const Node &node) {
    SpillQueue queue;
    read_rows<SpillQueue>(r, node, "`spill`", spill_rows, queue);
    return queue;
}

Section spill_section() {
    return section_of<SpillQueue>("spill", "The slow path: `ports.<name>.spill`", spill_rows);
}

Pause read_pause(Reader &r, const Node &node) {
    Pause pause{.below_ns = 0};
    if (read_rows<Pause>(r, node, "`pause`", pause_rows, pause) && pause.below_ns >= pause.above_ns)
        r.error(node, "`below` must be shorter than `above`");
    if (!pause.below_ns)
        pause.below_ns = pause.above_ns / 2;
    return pause;
}

Section pause_section() {
    return section_of<Pause>("pause", "Pause frames: `ports.<name>.pause`", pause_rows);
}

} // namespace sluice
