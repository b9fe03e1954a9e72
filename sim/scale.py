#!/usr/bin/env python3
"""./dev bench scale: the matrix of cells.py through sluice-sim, one process per run, a few at a time. Prints a table,
writes JSON, plots and one HTML page."""
from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "lab"))

import compare  # noqa: E402
import scale_report  # noqa: E402
from cells import DISCS, FULL, NAMES, QUICK, Cell  # noqa: E402
from machine import machine_facts  # noqa: E402

EXAMPLES = """examples:
  ./dev bench scale --quick --json scale.json      eight cells, under five minutes on two cores
  ./dev bench scale --json scale.json              the whole matrix, about an hour
  ./dev bench scale --only edge-8,web --discs sluice,fq_codel
"""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench scale", description=__doc__, epilog=EXAMPLES,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="eight cells instead of the whole matrix")
    parser.add_argument("--json", type=Path, metavar="FILE", help="machine facts and every figure of every run")
    parser.add_argument("--out", type=Path, default=Path("scale-report"), metavar="DIR",
                        help="folder for the plots and report.html (default: %(default)s)")
    parser.add_argument("--only", default="", metavar="CELLS", help="names of cells, comma-separated")
    parser.add_argument("--discs", default="", metavar="DISCS", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="runs at a time")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--list", action="store_true", help="print the cells and leave")
    parser.add_argument("--bin-dir", type=Path, default=HERE.parent / "build", help=argparse.SUPPRESS)
    return parser.parse_args()


def chosen_cells(args: argparse.Namespace) -> list[Cell]:
    cells = QUICK if args.quick else FULL
    wanted = [name for name in args.only.split(",") if name]
    unknown = set(wanted) - {c.name for c in FULL}
    if unknown:
        sys.exit(f"scale: no such cell: {', '.join(sorted(unknown))}; see --list")
    return [c for c in FULL if c.name in wanted] if wanted else cells


def runs_of(cell: Cell, args: argparse.Namespace) -> list[str]:
    discs = [d for d in args.discs.split(",") if d] or list(cell.discs)
    if cell.tuned_ms and not args.discs:
        discs.append("fq_codel-tuned")
    unknown = set(discs) - set(NAMES)
    if unknown:
        sys.exit(f"scale: no such discipline: {', '.join(sorted(unknown))}")
    return discs


def simulate(binary: Path, cell: Cell, disc: str, seed: int) -> dict:
    done = subprocess.run([binary, *cell.command(disc), "--seed", str(seed)], capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{cell.name}, {disc}: {done.stderr.strip() or f'exit {done.returncode}'}")
    return json.loads(done.stdout)


def run_all(args: argparse.Namespace, cells: list[Cell]) -> dict[str, dict[str, dict]]:
    binary = args.bin_dir / "sim" / "sluice-sim"
    jobs = [(cell, disc) for cell in cells for disc in runs_of(cell, args)]
    results: dict[str, dict[str, dict]] = {cell.name: {} for cell in cells}
    began, done = time.monotonic(), 0
    with ThreadPoolExecutor(args.jobs) as pool:
        pending = [(cell, disc, pool.submit(simulate, binary, cell, disc, args.seed)) for cell, disc in jobs]
        for cell, disc, future in pending:
            results[cell.name][disc] = future.result()
            done += 1
            print(f"scale: {done}/{len(jobs)} {cell.name} {disc}: {results[cell.name][disc]['wall_s']:.1f} s, "
                  f"{time.monotonic() - began:.0f} s so far", file=sys.stderr, flush=True)
    return results


def write_json(path: Path, args: argparse.Namespace, cells: list[Cell], results: dict, took_s: float) -> None:
    document = {"machine": machine_facts(), "quick": args.quick, "seed": args.seed, "wall_s": round(took_s, 1),
                "cells": [{"name": c.name, "title": c.title, "conditions": c.conditions(), "options": c.options,
                           "runs": results[c.name]} for c in cells]}
    path.write_text(json.dumps(document, indent=1) + "\n")


def main() -> None:
    args = arguments()
    cells = chosen_cells(args)
    if args.list:
        for cell in cells:
            print(f"{cell.name:22} {cell.conditions()}")
        return
    began = time.monotonic()
    results = run_all(args, cells)
    took_s = time.monotonic() - began
    for cell in cells:
        print(compare.text_table(cell, results[cell.name]))
    args.out.mkdir(parents=True, exist_ok=True)
    scale_report.write(args.out, cells, results)
    print(f"scale: {took_s:.0f} s; {args.out}/report.html")
    if args.json:
        write_json(args.json, args, cells, results, took_s)


if __name__ == "__main__":
    try:
        main()
    except RuntimeError as error:
        sys.exit(f"scale: {error}")
