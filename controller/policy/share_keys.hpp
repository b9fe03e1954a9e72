// The keys that classes, groups of classes, tenants and groups of tenants have in common: `priority`,
// `weight`, `min`, `ceil`.
#pragma once

#include "policy/keys.hpp"

namespace sluice {

enum class ShareKey { priority, weight, min, ceil };

constexpr Key share_keys[] = {
    {.name = "priority",
     .type = Type::integer,
     .fallback = "1",
     .example = "0",
     .meaning = "Lower is served first; give such a class a `ceil`.",
     .least = 0,
     .most = 7},
    {.name = "weight",
     .type = Type::integer,
     .fallback = "1",
     .example = "4",
     .meaning = "Share among the busy ones of the same priority beside it.",
     .least = 1,
     .most = 65535},
    {.name = "min",
     .type = Type::rate_or_percent,
     .fallback = "none",
     .example = "5mbit",
     .meaning =
         "Rate that it gets before weights count. A percentage is of the nearest `ceil` around it, else "
         "of the port's capacity."},
    {.name = "ceil",
     .type = Type::rate_or_percent,
     .fallback = "none",
     .example = "10%",
     .meaning =
         "Rate that it never exceeds. A percentage is of the nearest `ceil` around it, else of the port's "
         "capacity."},
};

// share_keys.cpp
void read_priority(Reader &r, const Node &n, Share &s);
void read_weight(Reader &r, const Node &n, Share &s);
void read_min(Reader &r, const Node &n, Share &s);
void read_ceil(Reader &r, const Node &n, Share &s);

template <class T> constexpr Row<T> share_row(ShareKey key) {
    constexpr void (*readers[])(Reader &, const Node &, T &) = {
        [](Reader &r, const Node &n, T &s) { read_priority(r, n, s); },
        [](Reader &r, const Node &n, T &s) { read_weight(r, n, s); },
        [](Reader &r, const Node &n, T &s) { read_min(r, n, s); },
        [](Reader &r, const Node &n, T &s) { read_ceil(r, n, s); },
    };
    return {share_keys[static_cast<int>(key)], readers[static_cast<int>(key)]};
}

} // namespace sluice
