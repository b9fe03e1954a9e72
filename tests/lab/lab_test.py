#!/usr/bin/env python3
"""All tests of the data path on real traffic: `lab_test.py [ring scenes ...]`, default all.

Needs root and the programs of a build directory: SLUICE_BUILD_DIR, default build/. Prints what it measures.
"""
from __future__ import annotations

import os
import sys
import unittest

from lab import exit_on_signals
from machine import machine_line

MODULES = ("ring", "scenes", "ecn", "spill", "pause", "policies", "reroute", "life", "pins", "xdp", "reload", "change", "confine",
           "view", "watch", "web", "metrics", "features", "world", "encapsulation", "dispatcher")
SKIPPED = 77  # exit code that ctest reports as skipped


def main() -> int:
    chosen = sys.argv[1:] or list(MODULES)
    if unknown := set(chosen) - set(MODULES):
        print(f"lab_test: no such tests: {', '.join(sorted(unknown))} (there are {', '.join(MODULES)})",
              file=sys.stderr)
        return 2
    if os.geteuid() != 0:
        print("lab_test: skipped, needs root for network namespaces and BPF")
        return SKIPPED
    exit_on_signals()
    print(machine_line())
    suite = unittest.defaultTestLoader.loadTestsFromNames([f"{name}_test" for name in chosen])
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite)
    if result.skipped and len(result.skipped) == result.testsRun:
        return SKIPPED
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    raise SystemExit(main())
