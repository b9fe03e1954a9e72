#!/usr/bin/env python3
"""Bars of `bench_cost --json`: one self-contained SVG beside the JSON. Bar = median, whisker = p10..p90."""
import html
import json
import pathlib
import sys

SHADES = ["#a3abb8", "#c98a2b", "#2f9e8f", "#2463c4", "#6d7787", "#4a9be0", "#16468f", "#7a5cc0", "#b0468a"]
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


def stack(family, parts, y):
    """One bar of a frame's way: what each step adds."""
    scale = (WIDTH - LABEL - 60) / sum(max(0, part["added"]["median_ns"]) for part in parts)
    x, drawn = LABEL, [f'<text x="{LABEL - 8}" y="{y + 13}" text-anchor="end">{family}, forward: fib, one flow, by part</text>']
    for part, colour in zip(parts, SHADES):
        ns = max(0, part["added"]["median_ns"])
        drawn.append(f'<rect x="{x:.1f}" y="{y}" width="{ns * scale:.1f}" height="{ROW - 2}" fill="{colour}">'
                     f'<title>{html.escape(part["name"])}: {ns:.1f} ns</title></rect>')
        if ns * scale > 22:
            drawn.append(f'<text x="{x + ns * scale / 2:.1f}" y="{y + 13}" text-anchor="middle" fill="#fff">{ns:.0f}</text>')
        x += ns * scale
    return "".join(drawn)


def legend(parts, y):
    return "".join(f'<rect x="{LABEL + i % 3 * 175}" y="{y + i // 3 * 15}" width="10" height="10" fill="{SHADES[i]}"/>'
                   f'<text x="{LABEL + i % 3 * 175 + 14}" y="{y + i // 3 * 15 + 9}">{html.escape(part["name"])}</text>'
                   for i, part in enumerate(parts))


def stacks(report):
    """The bars by part, and how high they are together."""
    rows = [(family, parts) for family, parts in (report.get("parts") or {}).items() if parts]
    if not rows:
        return "", 0
    drawn = "\n".join(stack(family, parts, TOP + i * ROW) for i, (family, parts) in enumerate(rows))
    return drawn + legend(rows[0][1], TOP + len(rows) * ROW + 4), len(rows) * ROW + 64


def svg(report):
    rows = sorted(((name, f) for name, f in report["variants"].items() if ".part_" not in name), key=lambda row: (row[0].split(".")[2:], row[0]))
    scale = (WIDTH - LABEL - 60) / max(max(f["p90"], f["median_ns"]) for _, f in rows)
    machine = report["machine"]
    head = (f'added {report["added_ns_per_packet"]:.1f} ns per packet (live, FIB, IPv4, one flow); '
            f'{report["live_ratio"]:.2f} x a bare redirect')
    where = f'{machine["cpu_model"]}, {machine["cpus"]} CPUs, kernel {machine["kernel"]}, {machine["date"]}'
    by_part, above = stacks(report)
    bars = "\n".join(bar(name, f, TOP + above + i * ROW, scale) for i, (name, f) in enumerate(rows))
    height = TOP + above + len(rows) * ROW + 16
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
            f'font-size="11"><rect width="100%" height="100%" fill="#fff"/>'
            f'<text x="12" y="22" font-size="15">Cost per frame in ns: median, p10..p90</text>'
            f'<text x="12" y="39">{html.escape(head)}</text><text x="12" y="54" fill="#5a6472">{html.escape(where)}</text>'
            f'\n{by_part}\n{bars}\n</svg>\n')


def main():
    source = pathlib.Path(sys.argv[1])
    picture = source.with_suffix(".svg")
    picture.write_text(svg(json.loads(source.read_text())))
    print(f"picture: {picture}")


if __name__ == "__main__":
    main()
