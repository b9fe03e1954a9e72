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


class ChangingLink(unittest.TestCase):
    """No rate in the policy. Deterministic, so the margins are narrow."""

    @classmethod
    def setUpClass(cls) -> None:
        cells = {cell.name: cell for cell in FULL}
        cls.runs = {name: simulate(BINARY, cells[name], "sluice", 1)
                    for name in ("rate-fixed-16", "rate-down-16", "rate-up-16", "rate-ramp-16", "rate-lte-16")}
        cls.real = simulate(BINARY, cells["rate-lte-16"], "fq_codel", 1)

    def test_a_slower_link_is_known_within_a_tenth_of_a_second(self) -> None:
        run = self.runs["rate-down-16"]
        self.assertLess(run["settled_s"][0], 0.1)
        self.assertGreaterEqual(run["settled_s"][0], 0)
        self.assertGreater(run["utilisation"], 0.93)

    def test_delay_stays_near_that_of_a_fixed_rate(self) -> None:
        fixed = self.runs["rate-fixed-16"]["delay"]["p99_ms"]
        for name in ("rate-up-16", "rate-ramp-16"):
            self.assertLess(self.runs[name]["delay"]["p99_ms"], 2 * fixed, name)

    def test_a_link_that_grows_is_used(self) -> None:
        self.assertGreater(self.runs["rate-ramp-16"]["utilisation"], 0.93)
        self.assertGreater(self.runs["rate-up-16"]["utilisation"], 0.9)

    def test_a_link_that_never_rests_costs_little_more_than_with_a_real_queue(self) -> None:
        ours = self.runs["rate-lte-16"]
        self.assertGreater(ours["utilisation"], self.real["utilisation"] - 0.12)
        self.assertLess(ours["delay"]["p99_ms"], self.real["delay"]["p99_ms"])


class LateLoop(unittest.TestCase):
    """What admission and the guard of the ring do when the controller does not tick."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.runs = {cell.name: simulate(BINARY, cell, "sluice", 1) for cell in FULL if cell.name.startswith("loop-")}

    def test_the_delay_is_bounded_by_the_guard_and_the_link_stays_full(self) -> None:
        """Without ticks the last rates stay, and those may just then have been below the link."""
        for name, run in self.runs.items():
            with self.subTest(name):
                self.assertLess(run["delay"]["p99_ms"], 30)
                self.assertGreater(run["utilisation"], 0.9 if "stopped" in name else 0.97)
                self.assertGreater(run["jain"], 0.9)

    def test_it_hands_back_smoothly(self) -> None:
        self.assertLess(self.runs["loop-stopped-1s-thrice"]["delay"]["p99_ms"], 8)
        self.assertLess(self.runs["loop-tick-10ms"]["delay"]["p99_ms"], 4)


class Matrix(unittest.TestCase):
    def test_names_are_unique_and_the_quick_cells_are_part_of_the_whole(self) -> None:
        names = [cell.name for cell in FULL]
        self.assertEqual(len(names), len(set(names)))
        self.assertLess({cell.name for cell in QUICK}, set(names))


if __name__ == "__main__":
    unittest.main(verbosity=2)
