"""report.html: one self-contained page, no script, no request to anywhere; and each picture as a file of its own."""
from __future__ import annotations

from html import escape
from pathlib import Path

import compare
import scale_plots
from cells import NAMES, Cell
from machine import machine_line

HERE = Path(__file__).parent
LAB_STYLE = HERE.parent / "tests" / "lab" / "report.css"
INTRO = ("The same TCP, the same links, seven ways to stand in front of a slow port. FIFO is what XDP_REDIRECT meets "
         "today: the driver's TX ring. CoDel, PIE, FqCoDel and FqCobalt are real queues that hold 10,240 frames: what "
         "the kernel's own path can have, at many times the cost per packet. sluice has the FIFO ring and nothing "
         "else, is told no rate, and decides at the door.")
METHOD = ("ns-3, its TCP and its queue discs, with sluice's own law headers, admission code and control loop compiled "
          "in unchanged. Delay is the time in the discipline; the link's own queue holds one frame. Sparse: a UDP "
          "stream of 172-byte packets. What is modelled and what is not: docs/simulator.md.")


def key(name: str) -> str:
    return f'<span class="key {scale_plots.css(name)}">{escape(NAMES[name])}</span>'


def table(runs: dict[str, dict]) -> str:
    columns = compare.columns_of(runs)
    head = "".join(f"<th>{escape(c.title)}</th>" for c in columns)
    rows = []
    for name, run in runs.items():
        values = [c.get(run) for c in columns]
        cells = "".join(f"<td>{'–' if v is None else escape(c.write(v))}</td>" for c, v in zip(columns, values))
        rows.append(f'<tr class="{"ours" if name.startswith("sluice") else ""}">'
                    f"<td>{key(name)}</td>{cells}</tr>")
    return (f'<div class="scroll"><table><thead><tr><th></th>{head}</tr></thead><tbody>{"".join(rows)}</tbody>'
            f"</table></div>")


def verdict(runs: dict[str, dict]) -> str:
    if "sluice" not in runs:
        return ""
    worse = compare.loss_sentences(runs)
    if not worse:
        return '<p class="verdict">No real queue is better by more than the margin in any figure.</p>'
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in worse)
    return f'<div class="verdict">Where a real queue is better:<ul>{items}</ul></div>'


def figure(title: str, body: str) -> str:
    return f"<figure><h3>{escape(title)}</h3>{body}</figure>"


def section(cell: Cell, runs: dict[str, dict]) -> str:
    about = f"<p>{escape(cell.about)}</p>" if cell.about else ""
    return (f'<section id="{cell.name}"><h2>{escape(cell.title)}</h2>'
            f'<p class="conditions">{escape(cell.conditions())}</p>{about}{table(runs)}{verdict(runs)}'
            f'<div class="plots">{figure("How long frames wait", scale_plots.delay_distribution(runs))}'
            f"{figure('Side by side', scale_plots.bars(runs))}</div></section>")


def style() -> str:
    return LAB_STYLE.read_text() + (HERE / "scale.css").read_text()


def page(cells: list[Cell], results: dict[str, dict[str, dict]]) -> str:
    sections = "".join(section(cell, results[cell.name]) for cell in cells)
    return (f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>sluice: at scale</title>'
            f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{style()}</style></head>'
            f"<body><main><h1>A FIFO ring with an admission decision, beside real queues</h1>"
            f'<p class="lead">{escape(INTRO)}</p><p class="machine">{escape(machine_line())}</p>{sections}'
            f"<section><h2>How it was simulated</h2><p>{escape(METHOD)}</p></section></main></body></html>\n")


def write(folder: Path, cells: list[Cell], results: dict[str, dict[str, dict]]) -> None:
    (folder / "report.html").write_text(page(cells, results))
    for cell in cells:
        for kind, svg in (("delay", scale_plots.delay_distribution(results[cell.name])),
                          ("figures", scale_plots.bars(results[cell.name]))):
            alone = svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
            alone = alone.replace(">", f"><style>{style()}</style>", 1)
            (folder / f"{cell.name}-{kind}.svg").write_text(alone + "\n")
