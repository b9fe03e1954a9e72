#include "policy/share_keys.hpp"

namespace sluice {

void read_priority(Reader &r, const Node &n, Share &s) {
    s.priority = static_cast<uint8_t>(r.integer(n, 0, 7).value_or(s.priority));
}

void read_weight(Reader &r, const Node &n, Share &s) {
    s.weight = static_cast<uint32_t>(r.integer(n, 1, 65535).value_or(s.weight));
}

void read_min(Reader &r, const Node &n, Share &s) {
    s.min_pos = n.pos;
    if (const auto rate = r.rate_or_percent(n)) {
        s.min_bytes_per_s = rate->bytes_per_s;
        s.min_fraction = rate->fraction;
    }
}

void read_ceil(Reader &r, const Node &n, Share &s) {
    s.ceil_pos = n.pos;
    if (const auto rate = r.rate_or_percent(n)) {
        s.ceil_bytes_per_s = rate->bytes_per_s;
        s.ceil_fraction = rate->fraction;
    }
}

} // namespace sluice
