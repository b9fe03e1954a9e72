#!/usr/bin/env python3
"""Two results of `./dev bench cost --json`, or of `bench scale`, `peers`, `tree` or `verdict`, side by side:

    ./dev bench compare BEFORE.json AFTER.json [--json FILE]

Times of two machines, or of two days, say nothing. What is compared is each figure over that of its peer in the same run: a program of
sluice over the bare redirect of its kind, a cell of the simulator or a guest's scene over what it was before. A difference counts
when it is larger than three standard errors of both runs, and than the margin (--margin).

Exit codes: 0 nothing got worse, 1 something did, 2 the files cannot be compared.
"""
from __future__ import annotations

import argparse
import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path

P10_TO_P90 = 2.563  # of a normal distribution, in standard deviations
MEDIAN = 1.253      # standard error of a median over that of a mean
SURE = 3            # standard errors


class NoComparison(ValueError):
    """Why two files cannot be compared."""


@dataclass(frozen=True)
class Figure:
    value: float
    error: float = 0  # relative, one standard error
    more_is_better: bool = False
    unit: str = ""


@dataclass(frozen=True)
class Difference:
    name: str
    before: Figure
    after: Figure
    margin: float

    @property
    def change(self) -> float:
        return self.after.value / self.before.value - 1

    @property
    def noise(self) -> float:
        return max(self.margin, SURE * math.hypot(self.before.error, self.after.error))

    @property
    def verdict(self) -> str:
        if abs(self.change) <= self.noise:
            return "same"
        return "better" if (self.change > 0) == self.after.more_is_better else "worse"


def standard_error(variant: dict) -> float:
    """Of the median, relative."""
    spread = (variant["p90"] - variant["p10"]) / P10_TO_P90
    return MEDIAN * spread / math.sqrt(variant["rounds"]) / variant["median_ns"]


def peer_of(name: str, variants: dict) -> str | None:
    """The bare program that does the same work: live.sluice_fib_flood.ipv4.1flows -> live.bare_fib.ipv4.1flows."""
    kind, program, *rest = name.split(".")
    if not program.startswith("sluice_"):
        return None
    bare = "bare_fib" if program.startswith("sluice_fib") else "bare_redirect"
    peer = ".".join([kind, bare, *rest])
    return peer if peer in variants else None


def of_cost(document: dict) -> dict[str, Figure]:
    variants, figures = document["variants"], {}
    for name, variant in variants.items():
        if peer := peer_of(name, variants):
            figures[name] = Figure(variant["median_ns"] / variants[peer]["median_ns"],
                                   math.hypot(standard_error(variant), standard_error(variants[peer])), unit="x " + peer.split(".")[1])
    return figures


def of_scale(document: dict) -> dict[str, Figure]:
    figures = {}
    for cell in document["cells"]:
        for disc, run in cell["runs"].items():
            if not disc.startswith("sluice"):
                continue
            name = f"{cell['name']} {disc}"
            figures[f"{name}: utilisation"] = Figure(run["utilisation"], more_is_better=True)
            if run.get("probe", {}).get("p99_ms"):
                figures[f"{name}: sparse flow p99"] = Figure(run["probe"]["p99_ms"], unit="ms")
    return figures


def of_peers(document: dict) -> dict[str, Figure]:
    figures = {}
    for row in document["rows"]:
        if row["peer"] == "sluice" and "error" not in row:
            figures[f"{row['scene']}: goodput"] = Figure(row["goodput_mbit"], more_is_better=True, unit="Mbit/s")
            figures[f"{row['scene']}: delay p99"] = Figure(row["delay_ms_p99"], unit="ms")
    return figures


def of_tree(document: dict) -> dict[str, Figure]:
    rows = document["tree"]
    first = rows[0]
    return {f"{row.get('ports', 1)} ports, {row['tenants']} tenants, {row['flows']} flows: tick": Figure(
        row["tick_us"] / first["tick_us"], 0.1, unit="x the first row") for row in rows[1:]}


def of_verdict(document: dict) -> dict[str, Figure]:
    def relative(spread: dict, trials: int) -> float:
        return MEDIAN * (spread["p90"] - spread["p10"]) / P10_TO_P90 / math.sqrt(trials) / spread["median"]

    return {f"{row['flow']} at {row['overload']} x the rate: frames until told": Figure(row["frames"]["median"], relative(row["frames"], row["trials"]))
            for row in document["verdict"]}


KINDS = {"variants": of_cost, "cells": of_scale, "rows": of_peers, "tree": of_tree, "verdict": of_verdict}


def figures_of(document: dict) -> tuple[str, dict[str, Figure]]:
    for key, read in KINDS.items():
        if key in document:
            try:
                return key, read(document)
            except (KeyError, TypeError, ZeroDivisionError) as error:
                raise NoComparison(f"a result that lacks {error}: of another version?") from None
    raise NoComparison("not a result of bench cost, scale, peers, tree or verdict")


def compare(before: dict, after: dict, margin: float) -> list[Difference]:
    (kind, old), (other, new) = figures_of(before), figures_of(after)
    if kind != other:
        raise NoComparison("results of two different benches")
    common = [name for name in old if name in new and old[name].value > 0]
    if not common:
        raise NoComparison("no figure that both files have")
    return [Difference(name, old[name], new[name], margin) for name in common]


def table(differences: list[Difference]) -> str:
    width = max(len(d.name) for d in differences)
    lines = [f"{'':{width}} {'before':>9} {'after':>9} {'change':>8} {'noise':>7}"]
    for d in differences:
        lines.append(f"{d.name:{width}} {d.before.value:9.3f} {d.after.value:9.3f} {d.change:+8.1%} {d.noise:7.1%}  "
                     f"{'' if d.verdict == 'same' else d.verdict.upper():7}{d.after.unit}".rstrip())
    worse = sum(d.verdict == "worse" for d in differences)
    better = sum(d.verdict == "better" for d in differences)
    return "\n".join(lines) + f"\n{len(differences)} figures: {better} better, {worse} worse, the rest within the noise"


def read(path: Path) -> dict:
    try:
        document = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise NoComparison(f"{path}: {error}") from None
    if not isinstance(document, dict):
        raise NoComparison(f"{path}: not a result of a bench")
    return document


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="./dev bench compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--margin", type=float, default=0.05, help="changes up to this never count (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args(words)
    try:
        differences = compare(read(args.before), read(args.after), args.margin)
    except NoComparison as error:
        print(f"compare: {error}", file=sys.stderr)
        return 2
    print(table(differences))
    if args.json:
        args.json.write_text(json.dumps([{"name": d.name, "before": d.before.value, "after": d.after.value, "change": d.change,
                                          "noise": d.noise, "verdict": d.verdict, "unit": d.after.unit} for d in differences], indent=1) + "\n")
    return int(any(d.verdict == "worse" for d in differences))


if __name__ == "__main__":
    raise SystemExit(main())
