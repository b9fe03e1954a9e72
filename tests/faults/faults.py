#!/usr/bin/env python3
"""The fault suite: `faults.py [control start flood clock memory]`, default all. What each row promises: docs/reliability.md.

The real daemon in the lab's namespaces, and something that goes wrong. Needs root and the programs of a build
directory: SLUICE_BUILD_DIR, default build/.
"""
from __future__ import annotations

import os
import sys
import unittest
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "lab")]

from lab import exit_on_signals  # noqa: E402
from machine import machine_line  # noqa: E402

MODULES = ("control", "start", "flood", "clock", "memory")
SKIPPED = 77  # exit code that ctest reports as skipped


def main() -> int:
    chosen = sys.argv[1:] or list(MODULES)
    if unknown := {name.split(".")[0] for name in chosen} - set(MODULES):
        print(f"faults: no such tests: {', '.join(sorted(unknown))} (there are {', '.join(MODULES)})", file=sys.stderr)
        return 2
    if os.geteuid() != 0:
        print("faults: skipped, needs root for network namespaces and BPF")
        return SKIPPED
    exit_on_signals()
    print(machine_line())
    names = [".".join([f"{first}_faults", *rest]) for first, *rest in (name.split(".") for name in chosen)]
    suite = unittest.defaultTestLoader.loadTestsFromNames(names)
    return 0 if unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite).wasSuccessful() else 1


if __name__ == "__main__":
    raise SystemExit(main())
