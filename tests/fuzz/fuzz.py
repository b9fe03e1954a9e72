#!/usr/bin/env python3
"""Runs the libFuzzer targets: `fuzz.py [TARGET...]`, each for a fixed number of inputs (the same ones in every run, for
ctest), or with --minutes for a share of that time, from a new place each time.

Seeds are tests/fuzz/corpus/TARGET and files that the tree has anyway. What a long run learns stays in the build
directory (corpus/TARGET); --keep puts the least set that reaches the same code among the seeds. A finding is written to
crashes/ there, and its name printed: put it into tests/fuzz/corpus/TARGET with the fix.
"""
from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]
SEED = 8289  # of the fixed runs


@dataclass
class Target:
    runs: int  # inputs of a fixed run: two or three seconds
    most_bytes: int
    seeds: list[str] = field(default_factory=list)  # folders of the tree
    words: bool = False  # a dictionary of the policy's words helps


TARGETS = {
    "policy": Target(4_000, 4096, ["policies", "tests/unit/data/policy/good", "tests/unit/data/policy/bad"], words=True),
    "units": Target(50_000, 64),
    "web_config": Target(3_000, 2048),
    "routes": Target(8_000, 1024),
    "json": Target(20_000, 4096),
    "server": Target(400, 4096),
    "frame": Target(60_000, 2048),
    "netlink": Target(60_000, 2048),
}


def dictionary(folder: Path) -> Path:
    """Every key and word of the policy file, from its schema."""
    words: set[str] = set()

    def walk(value: object) -> None:
        if isinstance(value, dict):
            words.update(value.get("properties", {}))
            words.update(w for w in value.get("enum", []) if isinstance(w, str))
            for part in value.values():
                walk(part)
        elif isinstance(value, list):
            for part in value:
                walk(part)

    walk(json.loads((TREE / "policies/schema.json").read_text()))
    path = folder / "policy.dict"
    path.write_text("".join(f'"{word}"\n' for word in sorted(words)))
    return path


def seed_folders(name: str) -> list[str]:
    folders = [TREE / "tests/fuzz/corpus" / name, *(TREE / extra for extra in TARGETS[name].seeds)]
    return [str(folder) for folder in folders if folder.is_dir()]


def binary(build: Path, name: str) -> str:
    path = build / "tests/fuzz" / f"{name}_fuzz"
    if not path.exists():
        sys.exit(f"fuzz: {path} is missing: ./dev fuzz builds it")
    return str(path)


def environment() -> dict[str, str]:
    return {**os.environ, "ASAN_OPTIONS": "detect_leaks=1:allocator_may_return_null=1", "UBSAN_OPTIONS": "print_stacktrace=1"}


def run(build: Path, name: str, seconds: int | None) -> bool:
    target, crashes, corpus = TARGETS[name], build / "crashes", build / "corpus" / name
    crashes.mkdir(exist_ok=True)
    argv = [binary(build, name), f"-max_len={target.most_bytes}", "-timeout=20", "-rss_limit_mb=2048",
            f"-artifact_prefix={crashes}/{name}-", "-print_final_stats=1", "-use_value_profile=1"]
    if target.words:
        argv.append(f"-dict={dictionary(build)}")
    if seconds:
        corpus.mkdir(parents=True, exist_ok=True)
        argv += [f"-max_total_time={seconds}", str(corpus)]
    else:
        argv += [f"-runs={target.runs}", f"-seed={SEED}"]
    # What is new goes into the first folder: never into those of the tree.
    with tempfile.TemporaryDirectory(prefix="sluice-fuzz-") as scratch:
        folders = [*([] if seconds else [scratch]), *seed_folders(name)]
        done = subprocess.run([*argv, *folders], capture_output=True, text=True, errors="replace", env=environment())
    executed = re.search(r"number_of_executed_units: (\d+)", done.stderr)
    covered = re.findall(r"cov: (\d+)", done.stderr)
    if done.returncode != 0 or not executed or not covered:
        print(done.stderr[-6000:])
        print(f"fuzz: {name}: FOUND SOMETHING, see above (exit {done.returncode})")
        return False
    print(f"fuzz: {name}: {executed[1]} inputs, {covered[-1]} edges, nothing found", flush=True)
    return int(executed[1]) >= (1 if seconds else target.runs)


def keep(build: Path, name: str) -> None:
    """The least set of inputs that reaches what everything found so far reaches, into tests/fuzz/corpus."""
    seeds = TREE / "tests/fuzz/corpus" / name
    seeds.mkdir(parents=True, exist_ok=True)
    subprocess.run([binary(build, name), "-merge=1", "-max_len=512", str(seeds), str(build / "corpus" / name)], check=True,
                   capture_output=True, env=environment())
    print(f"fuzz: {name}: {len(list(seeds.iterdir()))} seeds")


def main() -> int:
    parser = argparse.ArgumentParser(prog="fuzz.py", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--build", type=Path, default=TREE / "build-fuzz", help="build directory with SLUICE_SANITIZE=...,fuzzer")
    parser.add_argument("--minutes", type=float, help="all targets together; default: a fixed number of inputs")
    parser.add_argument("--keep", action="store_true", help="put what was learned among the seeds")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; default: all")
    args = parser.parse_args()
    if unknown := set(args.targets) - set(TARGETS):
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    names = args.targets or list(TARGETS)
    if args.keep:
        for name in names:
            keep(args.build, name)
        return 0
    seconds = max(1, round(args.minutes * 60 / len(names))) if args.minutes else None
    return 0 if all([run(args.build, name, seconds) for name in names]) else 1


if __name__ == "__main__":
    raise SystemExit(main())
