"""The benches run and say what their readers need. How fast they found sluice is no test: `./dev bench gate`."""
from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILD = Path(os.environ.get("SLUICE_BUILD_DIR", HERE.parents[1] / "build"))
STEPS = 9


class Smoke(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.out = Path(folder.name) / "out.json"

    def run_bench(self, name: str, *options: str) -> dict:
        done = subprocess.run([BUILD / "tests/bench" / f"bench_{name}", "--json", self.out, *options], capture_output=True,
                              text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        document = json.loads(self.out.read_text())
        self.assertTrue(document["machine"]["kernel"])
        return document

    def test_cost_by_part_and_its_picture(self) -> None:
        for _ in range(3):  # a round that lost frames has no parts
            document = self.run_bench("cost", "--rounds", "1", "--frames", "20000", "--shots", "2")
            if document["parts"] and all(document["parts"].values()):
                break
        for family in ("ipv4", "ipv6"):
            # A step whose frames do not reach the far end, as when it comes apart from bpf_ingress/, leaves no parts at all.
            self.assertEqual(len(document["parts"][family]), STEPS)
        subprocess.run([sys.executable, HERE / "plot_cost.py", self.out], check=True, capture_output=True)
        self.assertIn("by part", self.out.with_suffix(".svg").read_text())

    def test_verdict(self) -> None:
        rows = {(row["flow"], row["overload"]): row for row in self.run_bench("verdict", "--trials", "1")["verdict"]}
        self.assertEqual(rows["ECT(1), L4S", 2]["signal"], "CE mark")
        self.assertNotEqual(rows["not-ECT", 2]["signal"], "CE mark")
        self.assertLess(rows["ECT(1), L4S", 2]["frames"]["median"], rows["not-ECT", 2]["frames"]["median"])
        self.assertLess(rows["not-ECT", 10]["us"]["median"], rows["not-ECT", 1.1]["us"]["median"])

    def test_tree(self) -> None:
        rows = self.run_bench("tree", "--seconds", "0.2")["tree"]
        self.assertTrue(all(0 < row["period_ms"] < 100 and row["core_percent"] < 50 for row in rows), rows)
        self.assertTrue(all(row["load_ms"] > 0 and row["attach_ms"] > 0 and row["reload_ms"] > 0 for row in rows), rows)


if __name__ == "__main__":
    unittest.main()
