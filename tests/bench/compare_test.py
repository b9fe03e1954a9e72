"""What `bench compare` calls better, worse, and noise."""
from __future__ import annotations

import contextlib
import copy
import io
import json
import tempfile
import unittest
from pathlib import Path

from compare import NoComparison, compare, main


def variant(median: float, spread: float = 0.04) -> dict:
    return {"median_ns": median, "min_ns": median * 0.97, "p10": median * (1 - spread / 2), "p90": median * (1 + spread / 2), "rounds": 11}


COST = {"variants": {"live.bare_redirect.ipv4.1flows": variant(60), "live.bare_fib.ipv4.1flows": variant(110),
                     "live.sluice_xconnect.ipv4.1flows": variant(120), "live.sluice_fib.ipv4.1flows": variant(180),
                     "test.sluice_fib_idle.ipv4": variant(70)}}


def verdicts(before: dict, after: dict) -> dict[str, str]:
    return {d.name: d.verdict for d in compare(before, after, 0.05)}


class Cost(unittest.TestCase):
    def setUp(self) -> None:
        self.after = copy.deepcopy(COST)
        self.variants = self.after["variants"]

    def test_a_slower_machine_is_no_regression(self) -> None:
        for name, v in self.variants.items():
            self.variants[name] = variant(v["median_ns"] * 1.7)
        self.assertEqual(set(verdicts(COST, self.after).values()), {"same"})

    def test_what_grew_over_its_peer_is_worse(self) -> None:
        self.variants["live.sluice_fib.ipv4.1flows"] = variant(200)
        self.assertEqual(verdicts(COST, self.after), {"live.sluice_fib.ipv4.1flows": "worse", "live.sluice_xconnect.ipv4.1flows": "same"})
        self.assertEqual(verdicts(self.after, COST)["live.sluice_fib.ipv4.1flows"], "better")

    def test_a_change_within_the_spread_is_noise(self) -> None:
        self.variants["live.sluice_fib.ipv4.1flows"] = variant(200, 0.6)
        self.assertEqual(verdicts(COST, self.after)["live.sluice_fib.ipv4.1flows"], "same")

    def test_what_has_no_peer_is_left_out(self) -> None:
        self.assertNotIn("test.sluice_fib_idle.ipv4", verdicts(COST, self.after))


class Others(unittest.TestCase):
    def test_less_utilisation_and_more_delay_are_worse(self) -> None:
        def cell(utilisation: float, p99: float) -> dict:
            return {"cells": [{"name": "edge-8", "runs": {"sluice": {"utilisation": utilisation, "probe": {"p99_ms": p99}}, "fifo": {}}}]}
        self.assertEqual(verdicts(cell(0.98, 2), cell(0.9, 3)), {"edge-8 sluice: utilisation": "worse", "edge-8 sluice: sparse flow p99": "worse"})
        self.assertEqual(verdicts(cell(0.9, 3), cell(0.98, 2)), {"edge-8 sluice: utilisation": "better", "edge-8 sluice: sparse flow p99": "better"})

    def test_a_later_verdict_is_worse(self) -> None:
        def row(frames: float) -> dict:
            spread = {"median": frames, "p10": frames - 1, "p90": frames + 1}
            return {"verdict": [{"flow": "not-ECT", "overload": 2.0, "frames": spread, "us": spread, "trials": 11}]}
        self.assertEqual(list(verdicts(row(100), row(120)).values()), ["worse"])
        self.assertEqual(list(verdicts(row(100), row(102)).values()), ["same"])

    def test_two_benches_or_none(self) -> None:
        for other in ({"cells": []}, {"variants": {}}, {"something": 1}, {"variants": {"live.sluice_fib.ipv4.1flows": {}}}):
            with self.assertRaises(NoComparison):
                compare(COST, other, 0.05)


class Command(unittest.TestCase):
    def test_exit_codes_and_json(self) -> None:
        with tempfile.TemporaryDirectory() as name, contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as said:
            before, after, out = (Path(name, f) for f in ("a.json", "b.json", "out.json"))
            before.write_text(json.dumps(COST))
            slower = copy.deepcopy(COST)
            slower["variants"]["live.sluice_xconnect.ipv4.1flows"] = variant(150)
            after.write_text(json.dumps(slower))
            self.assertEqual(main([str(before), str(before)]), 0)
            self.assertEqual(main([str(before), str(after), "--json", str(out)]), 1)
            self.assertEqual([d["verdict"] for d in json.loads(out.read_text())], ["worse", "same"])
            after.write_text("[1")
            self.assertEqual(main([str(before), str(after)]), 2)
            self.assertIn("b.json", said.getvalue())


if __name__ == "__main__":
    unittest.main()
