#!/usr/bin/env python3
"""Bars of `bench_cost --json`: one self-contained SVG beside the JSON. Bar = median, whisker = p10..p90."""
import html
import json
import pathlib
import sys

WIDTH, LABEL, ROW, TOP = 860, 330, 20, 66
COLOURS = {"bare": "#8a94a6", "sluice": "#2463c4", "nothing": "#c4c9d2"}


def bar(name, figures, y, scale):
    colour = next((c for key, c in COLOURS.items() if name.split(".")[1].startswith(key)), "#2463c4")
    low, high = (LABEL + figures[k] * scale for k in ("p10", "p90"))
    middle = y + ROW / 2 - 2
    return (f'<text x="{LABEL - 8}" y="{y + 12}" text-anchor="end">{html.escape(name)}</text>'
            f'<rect x="{LABEL}" y="{y}" width="{figures["median_ns"] * scale:.1f}" height="{ROW - 5}" fill="{colour}"/>'
            f'<path d="M{low:.1f} {middle}H{high:.1f}" stroke="#16202e" stroke-width="2"/>'
            f'<text x="{max(high, LABEL + figures["median_ns"] * scale) + 6:.1f}" y="{y + 12}">'
            f'{figures["median_ns"]:.0f}</text>')


def svg(report):
    rows = sorted(report["variants"].items(), key=lambda row: (row[0].split(".")[2:], row[0]))
    scale = (WIDTH - LABEL - 60) / max(max(f["p90"], f["median_ns"]) for _, f in rows)
    machine = report["machine"]
    head = (f'added {report["added_ns_per_packet"]:.1f} ns per packet (live, FIB, IPv4, one flow); '
            f'{report["live_ratio"]:.2f} x a bare redirect')
    where = f'{machine["cpu_model"]}, {machine["cpus"]} CPUs, kernel {machine["kernel"]}, {machine["date"]}'
    bars = "\n".join(bar(name, f, TOP + i * ROW, scale) for i, (name, f) in enumerate(rows))
    height = TOP + len(rows) * ROW + 16
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
            f'font-size="11"><rect width="100%" height="100%" fill="#fff"/>'
            f'<text x="12" y="22" font-size="15">Cost per frame in ns: median, p10..p90</text>'
            f'<text x="12" y="39">{html.escape(head)}</text><text x="12" y="54" fill="#5a6472">{html.escape(where)}</text>'
            f'\n{bars}\n</svg>\n')


def main():
    source = pathlib.Path(sys.argv[1])
    picture = source.with_suffix(".svg")
    picture.write_text(svg(json.loads(source.read_text())))
    print(f"picture: {picture}")


if __name__ == "__main__":
    main()
