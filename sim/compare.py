"""Figures of one cell side by side, and in which of them a real queue is better than sluice."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Callable

from cells import NAMES, REAL, Cell


@dataclass(frozen=True)
class Column:
    """One figure of a run; `worse` says by how much it must differ to count."""

    title: str
    get: Callable[[dict], float | None]
    write: Callable[[float], str]
    more_is_better: bool
    worse: Callable[[float, float], bool]  # (sluice, best real queue)


def at(*path: str) -> Callable[[dict], float | None]:
    def get(run: dict) -> float | None:
        for key in path:
            run = run.get(key) if isinstance(run, dict) else None
        return run
    return get


def share(value: float) -> str:
    return f"{value * 100:.1f} %"


def ms(value: float) -> str:
    return f"{value:.3f}" if value < 1 else f"{value:.2f}" if value < 10 else f"{value:.1f}"


def settled(run: dict) -> float | None:
    """The longest time until a new rate was known; endless where one never was before the next change."""
    times = run.get("settled_s")
    return None if not times else max(float("inf") if t < 0 else t for t in times)


def slower(ours: float, theirs: float) -> bool:
    return ours > theirs * 1.5 and ours - theirs > 0.02  # ms: below this nobody can tell


LOSS = lambda run: run["probe"]["lost"] / max(1, run["probe"]["sent"]) if "probe" in run else None  # noqa: E731

COLUMNS = (
    Column("goodput Mbit/s", at("goodput_mbps"), lambda v: f"{v:.0f}", True, lambda a, b: a < b * 0.98),
    Column("utilisation", at("utilisation"), share, True, lambda a, b: a < b - 0.01),
    Column("Jain", at("jain"), lambda v: f"{v:.3f}", True, lambda a, b: a < b - 0.01),
    Column("slowest flow", at("slowest_flow_of_fair_share"), share, True, lambda a, b: a < b - 0.1),
    Column("delay p50 ms", at("delay", "p50_ms"), ms, False, slower),
    Column("p99", at("delay", "p99_ms"), ms, False, slower),
    Column("max", at("delay", "max_ms"), ms, False, slower),
    Column("sparse p99 ms", at("probe", "p99_ms"), ms, False, slower),
    Column("sparse lost", LOSS, share, False, lambda a, b: a > b + 0.001),
    Column("short FCT p50 ms", at("completion", "short", "p50_ms"), ms, False, lambda a, b: a > b * 1.1),
    Column("p99", at("completion", "short", "p99_ms"), ms, False, lambda a, b: a > b * 1.1),
    Column("incast p50 ms", at("completion", "incast", "p50_ms"), ms, False, lambda a, b: a > b * 1.1),
    Column("p99", at("completion", "incast", "p99_ms"), ms, False, lambda a, b: a > b * 1.1),
    Column("unfinished", at("completion", "unfinished"), lambda v: f"{v:.0f}", False, lambda a, b: a > b),
    Column("UDP Mbit/s", at("flood_mbps"), lambda v: f"{v:.0f}", False, lambda a, b: a > b * 1.1),
    Column("settled s", settled, lambda v: "not all" if v == float("inf") else f"{v:.2f}", False, lambda a, b: False),
    Column("drops", at("drops"), lambda v: f"{v:.0f}", False, lambda a, b: False),
    Column("marks", at("marks"), lambda v: f"{v:.0f}", False, lambda a, b: False),
)


def columns_of(runs: dict[str, dict]) -> list[Column]:
    """Those that say something in this cell."""
    return [c for c in COLUMNS if any(c.get(run) not in (None, 0) for run in runs.values())]


def losses(runs: dict[str, dict]) -> list[tuple[Column, str, float, float]]:
    """Where sluice is worse than the best real queue: column, that queue, its figure, ours."""
    ours, found = runs.get("sluice"), []
    if not ours:
        return []
    for column in columns_of(runs):
        theirs = {name: column.get(runs[name]) for name in REAL if name in runs}
        theirs = {name: value for name, value in theirs.items() if value is not None}
        value = column.get(ours)
        if not theirs or value is None:
            continue
        best = (max if column.more_is_better else min)(theirs, key=lambda name: theirs[name])
        if column.worse(value, theirs[best]):
            found.append((column, best, theirs[best], value))
    return found


def loss_sentences(runs: dict[str, dict]) -> list[str]:
    return [f"{column.title}: {NAMES[best]} {column.write(theirs)}, sluice {column.write(value)}"
            for column, best, theirs, value in losses(runs)]


def text_table(cell: Cell, runs: dict[str, dict]) -> str:
    columns = columns_of(runs)
    rows = [["", *(c.title for c in columns)]]
    for name, run in runs.items():
        values = [c.get(run) for c in columns]
        rows.append([NAMES[name], *("–" if v is None else c.write(v) for c, v in zip(columns, values))])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(text.ljust(w) if i == 0 else text.rjust(w) for i, (text, w) in enumerate(zip(row, widths)))
             for row in rows]
    worse = loss_sentences(runs)
    tail = ["a real queue is better in: " + "; ".join(worse)] if worse else []
    return "\n".join([f"\n{cell.title} [{cell.name}]: {cell.conditions()}", *lines, *tail])
