"""The three kinds of plot of a scene, from the plot data of its runs."""
from __future__ import annotations

from scene import Scene
from svg import Axis, Line, Plot, nice_step

NAMES = {"raw": "plain redirect", "kernel": "kernel, HTB + pfifo", "sluice": "sluice"}
DELAY_FLOOR_MS = 0.1  # foot of logarithmic axes; less is drawn there
SECONDS_PER_BIN = 0.1


def decade_above(value: float) -> float:
    ceiling = DELAY_FLOOR_MS * 10
    while ceiling < value:
        ceiling *= 10
    return ceiling


def delay_axis(runs: dict[str, dict]) -> Axis:
    top = max(max(run["plot"]["delay_quantiles_ms"], default=1) for run in runs.values())
    return Axis("queueing delay, ms (log)", DELAY_FLOOR_MS, decade_above(top), log=True)


def delay_cdf(runs: dict[str, dict]) -> str:
    plot = Plot(delay_axis(runs), Axis("share of frames, %", 0, 100), description="Distribution of queueing delay")
    for name, run in runs.items():
        quantiles = run["plot"]["delay_quantiles_ms"]
        points = [(value, 100 * i / (len(quantiles) - 1)) for i, value in enumerate(quantiles)]
        plot.lines.append(Line(name, f"{NAMES[name]}: p99 {run['delay_ms_p99']:.1f} ms", points))
    return plot.svg()


def merged(values: list[float | None], group: int, how) -> list[float | None]:
    """`how` over groups of bins; a group without any value stays empty."""
    groups = [[v for v in values[i:i + group] if v is not None] for i in range(0, len(values), group)]
    return [how(g) if g else None for g in groups]


def delay_over_time(runs: dict[str, dict], scene: Scene) -> str:
    plot = Plot(Axis("time, s", 0, scene.end_s), delay_axis(runs), shade_until=scene.warmup,
                description="Queueing delay over time")
    if scene.step:
        plot.marks.append((scene.step_s, "link halves"))
    for name, run in runs.items():
        series = run["plot"]["delay"]
        group = round(SECONDS_PER_BIN / series["bin_s"])
        high = merged(series["max_ms"], group, max)
        mean = merged(series["mean_ms"], group, lambda g: sum(g) / len(g))
        times = [(i + 0.5) * SECONDS_PER_BIN for i in range(len(mean))]
        rows = [(t, m, h) for t, m, h in zip(times, mean, high) if t <= scene.end_s]
        band = [(t, m, h) for t, m, h in rows if m is not None and h is not None]
        plot.lines.append(Line(name, f"{NAMES[name]}: mean and maximum per 100 ms", [(t, m) for t, m, _ in rows], band))
    return plot.svg()


def flow_throughput(name: str, run: dict, scene: Scene, top_mbit: float) -> str:
    """Every flow of one run; bins of half a second."""
    plot = Plot(Axis("time, s", 0, scene.end_s), Axis("Mbit/s per flow", 0, top_mbit), width=330, height=220,
                shade_until=scene.warmup, description=f"Throughput of each flow, {NAMES[name]}")
    if scene.step:
        plot.marks.append((scene.step_s, "link halves"))
    for title, points in half_second_rates(run):
        points = [(t, v) for t, v in points if t <= scene.end_s]
        plot.lines.append(Line("flood" if "UDP" in title else f"flow {name}", title, points))
    return plot.svg()


def half_second_rates(run: dict) -> list[tuple[str, list[tuple[float, float]]]]:
    group = round(0.5 / run["plot"]["flow_bin_s"])
    flows = []
    for flow in run["plot"]["flows"]:
        values = [v or 0.0 for v in merged(flow["mbit"], group, lambda g: sum(g) / len(g))]
        flows.append((flow["name"], [((i + 0.5) * 0.5, v) for i, v in enumerate(values)]))
    return flows


def throughput_top(runs: dict[str, dict]) -> float:
    """One scale for all treatments of a scene."""
    peak = max((v for run in runs.values() for _, points in half_second_rates(run) for _, v in points), default=1)
    step = nice_step(max(peak, 1) / 5)
    return step * (int(peak / step) + 1)
