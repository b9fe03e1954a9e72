#!/usr/bin/env python3
"""The demo: the same traffic over the same slow link, forwarded three ways. Prints a table, writes a page and JSON."""
from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import captions
import report_html
from lab import exit_on_signals
from machine import machine_facts, machine_line
from netns import LabError
from scene import DEMO, SCENES, Scene, make_treatment, measure

REPOSITORY = Path(__file__).resolve().parents[2]
TREATMENTS = ["raw", "kernel", "sluice"]


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="scenes tcp and flood, plain redirect and sluice, < 60 s")
    parser.add_argument("--json", type=Path, help="figures; default demo/demo.json")
    parser.add_argument("--html", type=Path, help="page; default demo/report.html")
    parser.add_argument("--bin-dir", type=Path, default=REPOSITORY / "build", help="build directory")
    parser.add_argument("--scenes", help="comma separated, default all")
    parser.add_argument("--treatments", help="comma separated, default all")
    parser.add_argument("--seconds", type=float, help="measured time of each run")
    args = parser.parse_args()
    args.json = args.json or REPOSITORY / "demo/demo.json"
    args.html = args.html or REPOSITORY / "demo/report.html"
    args.scenes = args.scenes.split(",") if args.scenes else ["tcp", "flood"] if args.quick else list(DEMO)
    everything = ["raw", "sluice"] if args.quick else TREATMENTS
    args.treatments = args.treatments.split(",") if args.treatments else everything
    args.seconds = args.seconds or (6 if args.quick else 12)
    return args


class Progress:
    """One line per run that is rewritten on a terminal and printed once elsewhere."""

    def __init__(self, total: int) -> None:
        self._total, self._done, self._begin = total, 0, time.monotonic()
        self._live = sys.stderr.isatty()
        self._label = ""

    def start(self, label: str) -> None:
        self._done += 1
        self._label = f"[{self._done:2}/{self._total}] {label}"
        if not self._live:
            print(self._label, file=sys.stderr, flush=True)

    def update(self, text: str) -> None:
        if self._live:
            print(f"\r{self._label:42} {text}  ", end="", file=sys.stderr, flush=True)

    def finish(self, text: str) -> None:
        print(f"\r{self._label:42} {text}" if self._live else f"        {text}", file=sys.stderr, flush=True)

    def elapsed(self) -> float:
        return time.monotonic() - self._begin


def measure_once_more(scene: Scene, treatment: str, bin_dir: Path, progress: Progress) -> dict:
    """A run that fails is repeated once: a connection that did not come up says nothing about a treatment."""
    try:
        return measure(scene, make_treatment(treatment, scene), bin_dir, progress.update)
    except LabError as error:
        progress.finish(f"failed, once more: {str(error)[:300]}")
        return measure(scene, make_treatment(treatment, scene), bin_dir, progress.update)


def run_all(args: argparse.Namespace, scenes: dict[str, Scene]) -> dict[str, dict[str, dict]]:
    progress = Progress(len(scenes) * len(args.treatments))
    results: dict[str, dict[str, dict]] = {}
    for name, scene in scenes.items():
        results[name] = {}
        for treatment in args.treatments:
            progress.start(f"{name}, {treatment}")
            run = measure_once_more(scene, treatment, args.bin_dir, progress)
            results[name][treatment] = run
            progress.finish(f"goodput {run['goodput_mbit']:5.1f} Mbit/s, "
                            f"queueing delay p99 {run['delay_ms_p99']:6.1f} ms")
    print(f"measured in {progress.elapsed():.0f} s\n", file=sys.stderr)
    return results


def write_files(args: argparse.Namespace, scenes: dict[str, Scene], results: dict[str, dict[str, dict]]) -> None:
    for path in (args.json, args.html):
        path.parent.mkdir(parents=True, exist_ok=True)
    args.html.write_text(report_html.page(f"{machine_line()}. {captions.noise(results)}", scenes, results))
    figures = {name: {t: {k: v for k, v in run.items() if k != "plot"} for t, run in runs.items()}
               for name, runs in results.items()}
    conditions = {name: asdict(scene) for name, scene in scenes.items()}
    document = {"machine": machine_facts(), "conditions": conditions, "scenes": figures}
    args.json.write_text(json.dumps(document, indent=1) + "\n")


def main() -> int:
    args = options()
    exit_on_signals()
    scenes = {name: replace(SCENES[name], seconds=args.seconds) for name in args.scenes}
    print(machine_line())
    print("raw = plain XDP redirect; kernel = kernel forwarding, HTB + pfifo; sluice = XDP redirect with sluice\n")
    try:
        results = run_all(args, scenes)
    except LabError as error:
        print(f"\ndemo: {error}", file=sys.stderr)
        return 1
    write_files(args, scenes, results)
    print(captions.text_table(results))
    print(f"\n{captions.noise(results)}")
    print(f"\nplots: {args.html}\nfigures: {args.json}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
