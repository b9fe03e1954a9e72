#!/usr/bin/env python3
"""The simulator works from the matrix to the page: one small cell, three disciplines, wide margins. ctest label `sim`."""
from __future__ import annotations

import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "lab"))

import compare  # noqa: E402
import scale_report  # noqa: E402
from cells import FULL, QUICK, Cell  # noqa: E402
from scale import simulate  # noqa: E402

BINARY = Path(sys.argv.pop())
CELL = Cell("test", "A test", {"fast": 1e9, "slow": 100e6, "ring": 512, "rtt": 20, "flows": 4, "hosts": 2, "warmup": 2,
                               "duration": 3, "probe": 0.005})


class OneCell(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.runs = {disc: simulate(BINARY, CELL, disc, 1) for disc in ("fifo", "fq_codel", "sluice")}

    def test_the_link_is_full_and_never_overfull(self) -> None:
        for disc, run in self.runs.items():
            with self.subTest(disc):
                self.assertGreater(run["utilisation"], 0.85)
                self.assertLess(run["utilisation"], 1.01)

    def test_sparse_frames_wait_less_than_in_the_plain_ring(self) -> None:
        fifo, ours = (self.runs[disc]["probe"]["p99_ms"] for disc in ("fifo", "sluice"))
        self.assertLess(ours, fifo / 2)

    def test_delay_is_what_the_ring_holds(self) -> None:
        full_ms = 512 * 1502 * 8 / 100e6 * 1e3
        self.assertLess(self.runs["fifo"]["delay"]["max_ms"], full_ms * 1.02)
        self.assertGreater(self.runs["fifo"]["delay"]["max_ms"], full_ms * 0.5)

    def test_the_loop_of_sluice_ran_and_its_laws_decided(self) -> None:
        run = self.runs["sluice"]
        self.assertGreater(run["ticks"], 1000)
        self.assertAlmostEqual(run["loop"]["capacity_mbps"], 100, delta=5)
        self.assertGreater(sum(run["loop"]["outcomes"].values()), 10000)

    def test_a_run_repeats_exactly(self) -> None:
        again = simulate(BINARY, CELL, "sluice", 1)
        for key in ("events", "drops", "goodput_mbps"):
            self.assertEqual(again[key], self.runs["sluice"][key])

    def test_table_and_page_show_every_discipline(self) -> None:
        self.assertIn("FqCoDel", compare.text_table(CELL, self.runs))
        with tempfile.TemporaryDirectory() as folder:
            scale_report.write(Path(folder), [CELL], {CELL.name: self.runs})
            page = (Path(folder) / "report.html").read_text()
            self.assertEqual(page.count("<tr class"), 3)
            self.assertNotIn("http", page.replace("http://www.w3.org/2000/svg", ""))


class Matrix(unittest.TestCase):
    def test_names_are_unique_and_the_quick_cells_are_part_of_the_whole(self) -> None:
        names = [cell.name for cell in FULL]
        self.assertEqual(len(names), len(set(names)))
        self.assertLess({cell.name for cell in QUICK}, set(names))


if __name__ == "__main__":
    unittest.main(verbosity=2)
