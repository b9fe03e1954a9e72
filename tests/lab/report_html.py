"""demo/report.html: one self-contained page, no script, no request to anywhere."""
from __future__ import annotations

from html import escape
from pathlib import Path

import captions
import figures
from captions import number, percent
from figures import NAMES
from scene import Scene

Results = dict[str, dict[str, dict]]  # scene → treatment → run

CDF_CAPTION = ("Share of frames that waited no longer than this between the source's port and the start of their "
               "serialisation on the link. Further left is better.")
TIME_CAPTION = ("Line: mean of each 100 ms; shade above it: up to the slowest frame. The grey strip at the left is the "
                "warm-up, which no figure counts.")
FLOW_CAPTION = ("Rate of each flow on the link, framing included, in steps of half a second. Lines that lie together "
                "share fairly.")


def key(css: str, text: str) -> str:
    return f'<span class="key {css}">{escape(text)}</span>'


def tile(what: str, before: str, after: str) -> str:
    return (f'<div class="tile"><span class="change"><span class="from">{escape(before)}</span>'
            f'<span class="arrow">→</span><span class="to">{escape(after)}</span></span>'
            f'<span class="what">{escape(what)}</span></div>')


def tiles(results: Results) -> str:
    """The figures of plain redirect and sluice that matter most, one per scene."""
    wanted = (("tcp", "delay_ms_p99", lambda v: f"{number(v)} ms", "queueing delay, p99 of all frames, 4 TCP flows"),
              ("mixed", "jain", lambda v: f"{v:.3f}", "fairness (Jain) of 16 flows of mixed congestion control"),
              ("flood", "tcp_share", percent, "of their fair share for 4 TCP flows under a UDP flood"),
              ("ratestep", "delay_ms_p99_second_half", lambda v: f"{number(v)} ms",
               "p99 after the link halved, no rate given"))
    parts = []
    for scene, name, write, what in wanted:
        runs = results.get(scene, {})
        if all(runs.get(t, {}).get(name) is not None for t in ("raw", "sluice")):
            parts.append(tile(what, write(runs["raw"][name]), write(runs["sluice"][name])))
    return f'<div class="tiles">{"".join(parts)}</div>' if parts else ""


def table(runs: dict[str, dict]) -> str:
    head = "".join(f"<th>{escape(title)}</th>" for title, _, _ in captions.COLUMNS)
    rows = []
    for name, run in runs.items():
        cells = "".join(f"<td>{escape(write(run[column]))}</td>" for _, column, write in captions.COLUMNS)
        rows.append(f'<tr><td class="name {name}">{escape(NAMES[name])}</td>{cells}</tr>')
    return (f'<div class="scroll"><table><thead><tr><th></th>{head}</tr></thead>'
            f'<tbody>{"".join(rows)}</tbody></table></div>')


def counted(runs: dict[str, dict]) -> str:
    """What sluice itself says it did with the frames."""
    verdicts = {name: n for name, n in runs.get("sluice", {}).get("verdicts", {}).items() if n}
    if not verdicts:
        return ""
    listing = ", ".join(f"{name} {n:,}".replace(",", "\u202f") for name, n in verdicts.items())
    return f'<p class="counts">Frames by verdict, as sluice counts them over the whole run: {escape(listing)}.</p>'


def figure(title: str, body: str, text: str) -> str:
    return f"<figure><h3>{escape(title)}</h3>{body}<figcaption>{escape(text)}</figcaption></figure>"


def throughput_figure(scene: Scene, runs: dict[str, dict]) -> str:
    top = figures.throughput_top(runs)
    panels = "".join(f"<div>{key(name, NAMES[name])}{figures.flow_throughput(name, run, scene, top)}</div>"
                     for name, run in runs.items())
    flood = f'<div class="legend">{key("flood", "UDP flood")}</div>' if scene.flood_ratio else ""
    return figure("Throughput of each flow", f'{flood}<div class="panels">{panels}</div>', FLOW_CAPTION)


def section(scene: Scene, runs: dict[str, dict]) -> str:
    legend = "".join(key(name, NAMES[name]) for name in runs)
    plots = (figure("How long frames wait", figures.delay_cdf(runs), CDF_CAPTION) +
             figure("The wait over time", figures.delay_over_time(runs, scene), TIME_CAPTION))
    return (f"<section><h2>{escape(captions.TITLES[scene.name])}</h2>"
            f'<p class="conditions">{escape(captions.conditions(scene))}</p>'
            f'<p>{escape(captions.caption(scene, runs))}</p>'
            f'{table(runs)}{counted(runs)}<p class="legend">{legend}</p><div class="plots">{plots}</div>'
            f"{throughput_figure(scene, runs)}</section>")


INTRO = ("An XDP redirect skips every queue discipline: frames go straight into the TX ring of the slow port, a "
         "first-in first-out queue that delays everybody while it fills and drops silently when it is full. The same "
         "link and the same traffic, with each way to forward it, on this machine:")
METHOD = ("Source, router and sink are network namespaces; the slow port is a TAP device whose ring is drained by a "
          "link emulator at exactly the link's rate. Delay is measured by the lab, not by sluice: each frame is "
          "stamped where the source sends it and read again where its serialisation starts. Goodput is TCP sequence "
          "progress at the link. Unexplained frames entered the router and neither reached the link nor were counted"
          " by the data path.")


def page(machine: str, scenes: dict[str, Scene], results: Results) -> str:
    style = (Path(__file__).parent / "report.css").read_text()
    sections = "".join(section(scenes[name], runs) for name, runs in results.items() if runs)
    return (f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>sluice: before and after</title>'
            f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{style}</style></head>'
            f"<body><main>"
            f"<h1>What waits in front of a slow port, with and without sluice</h1>"
            f'<p class="lead">{escape(INTRO)}</p><p class="machine">{escape(machine)}</p>{tiles(results)}{sections}'
            f"<section><h2>How it was measured</h2><p>{escape(METHOD)}</p></section></main></body></html>\n")
