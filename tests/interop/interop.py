#!/usr/bin/python3
"""Sluice beside other people's software: `interop.py [captures frames frr tools]`, default all. Debian's own python, for scapy.

Needs root and the programs of a build directory: SLUICE_BUILD_DIR, default build/.
"""
from __future__ import annotations

import os
import sys
import unittest
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "lab")]

from lab import exit_on_signals  # noqa: E402
from machine import machine_line  # noqa: E402

MODULES = ("captures", "frames", "frr", "tools")
SKIPPED = 77  # exit code that ctest reports as skipped


def main() -> int:
    chosen = sys.argv[1:] or list(MODULES)
    if unknown := {name.split(".")[0] for name in chosen} - set(MODULES):
        print(f"interop: no such tests: {', '.join(sorted(unknown))} (there are {', '.join(MODULES)})", file=sys.stderr)
        return 2
    if os.geteuid() != 0:
        print("interop: skipped, needs root for network namespaces and BPF")
        return SKIPPED
    exit_on_signals()
    print(machine_line())
    names = [".".join([f"{first}_interop", *rest]) for first, *rest in (name.split(".") for name in chosen)]
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(
        unittest.defaultTestLoader.loadTestsFromNames(names))
    if result.skipped and len(result.skipped) == result.testsRun:
        return SKIPPED
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    raise SystemExit(main())
