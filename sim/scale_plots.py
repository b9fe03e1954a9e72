"""Two pictures of a cell: the distribution of the queueing delay, and bars of the figures that matter."""
from __future__ import annotations

from html import escape

from cells import NAMES
from compare import COLUMNS, Column
from svg import Axis, Line, Plot

FLOOR_MS = 0.001
WIDTH, LABEL, VALUE, ROW, HEAD = 480, 128, 64, 19, 30


def delay_axis(runs: dict[str, dict]) -> Axis:
    values = [v for run in runs.values() for v in run["delay_percentiles_ms"]]
    low, high = FLOOR_MS, FLOOR_MS * 10
    while low * 10 < min((run["delay_percentiles_ms"][10] for run in runs.values() if run["delay_percentiles_ms"]),
                         default=FLOOR_MS):
        low *= 10
    while high < max(values, default=1):
        high *= 10
    return Axis("queueing delay, ms (log)", low, max(high, low * 10), log=True)


def css(name: str) -> str:
    return "d-" + name.replace("_", "-")


def delay_distribution(runs: dict[str, dict]) -> str:
    plot = Plot(delay_axis(runs), Axis("share of frames, %", 0, 100), description="Distribution of queueing delay")
    for name, run in runs.items():
        points = [(value, float(i)) for i, value in enumerate(run["delay_percentiles_ms"])]
        plot.lines.append(Line(css(name), f"{NAMES[name]}: p99 {run['delay']['p99_ms']:.3f} ms", points))
    return plot.svg()


def chosen(runs: dict[str, dict]) -> list[Column]:
    wanted = [c for c in COLUMNS if c.title in ("utilisation", "Jain", "sparse p99 ms", "UDP Mbit/s")]
    wanted += [COLUMNS[i + 1] for i, c in enumerate(COLUMNS) if c.title in ("short FCT p50 ms", "incast p50 ms")]
    return [c for c in wanted if any(c.get(run) is not None for run in runs.values())]


def title_of(column: Column) -> str:
    before = COLUMNS[COLUMNS.index(column) - 1].title
    title = column.title if column.title != "p99" else before.replace("p50", "p99")
    return f"{title} ({'longer' if column.more_is_better else 'shorter'} is better)"


def bars(runs: dict[str, dict]) -> str:
    parts, y = [], 0
    for column in chosen(runs):
        values = {name: column.get(run) for name, run in runs.items()}
        top = max((v for v in values.values() if v), default=1)
        parts.append(f'<text class="bar-title" x="0" y="{y + 19}">{escape(title_of(column))}</text>')
        y += HEAD
        for name, value in values.items():
            width = (value or 0) / top * (WIDTH - LABEL - VALUE)
            text = "–" if value is None else column.write(value)
            parts.append(f'<text x="{LABEL - 8}" y="{y + 13}" text-anchor="end">{escape(NAMES[name])}</text>'
                         f'<rect class="bar {css(name)}" x="{LABEL}" y="{y + 3}" width="{max(width, 1):.1f}" '
                         f'height="{ROW - 6}" rx="2"/>'
                         f'<text x="{LABEL + width + 6:.1f}" y="{y + 13}">{escape(text)}</text>')
            y += ROW
        y += 6
    return f'<svg viewBox="0 0 {WIDTH} {y}" role="img" aria-label="Figures side by side">{"".join(parts)}</svg>'
