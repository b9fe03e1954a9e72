#!/usr/bin/env python3
"""Figures that are easy to get wrong: fairness, convergence, accounting."""
from __future__ import annotations

import unittest

from results import convergence_s, jain
from scene import Counters, accounting
from treatments import Account, account_of_snapshot, rate_bits


def delays(*pieces: tuple[float, float]) -> dict:
    """A report whose mean delay is `ms` for `seconds`, piece after piece."""
    series = [ms for seconds, ms in pieces for _ in range(round(seconds / 0.02))]
    return {"delay": {"bin_s": 0.02, "mean_ms": series}}


class Fairness(unittest.TestCase):
    def test_bounds(self) -> None:
        self.assertEqual(jain([3, 3, 3]), 1)
        self.assertAlmostEqual(jain([1, 0, 0, 0]), 0.25)
        self.assertEqual(jain([0, 0]), 0)


class Convergence(unittest.TestCase):
    def test_step_that_is_absorbed(self) -> None:
        self.assertEqual(convergence_s(delays((4, 1), (0.5, 60), (3.5, 2)), 4, 8), 0.5)

    def test_standing_queue_never_converges(self) -> None:
        self.assertIsNone(convergence_s(delays((4, 150), (4, 300)), 4, 8))

    def test_relapse_within_a_second_does_not_count(self) -> None:
        self.assertEqual(convergence_s(delays((4, 1), (0.5, 60), (0.5, 2), (0.2, 60), (2.8, 2)), 4, 8), 1.2)


class Accounting(unittest.TestCase):
    def counters(self, received: int, arrived: int, by_kernel: int, account: Account) -> Counters:
        return Counters(received, arrived, by_kernel, account, {})

    def test_passed_and_forwarded_is_counted_once(self) -> None:
        before = self.counters(10, 8, 1, Account({"drop": 1}, lost=1, passed=2))
        after = self.counters(110, 88, 6, Account({"drop": 13}, lost=13, passed=15))
        result = accounting(before, after)  # 100 in; 80 arrived, 5 of these by the kernel; 12 lost; 13 passed
        self.assertEqual(result["unexplained"], 0)
        self.assertEqual(result["verdicts"], {"drop": 12})

    def test_snapshot_sums_every_port_and_class(self) -> None:
        snapshot = {"ports": [
            {"passed": [{"name": "pass_ttl", "packets": 2}]},
            {"kernel_drops": [{"name": "ring_full", "packets": 3}],
             "classes": [{"outcomes": [{"name": "forward", "packets": 90}, {"name": "drop_codel", "packets": 5}]},
                         {"outcomes": [{"name": "drop_limit", "packets": 1}]}]}]}
        account = account_of_snapshot(snapshot)
        self.assertEqual((account.passed, account.lost), (2, 9))
        self.assertEqual(account.verdicts["kernel_ring_full"], 3)


class Rates(unittest.TestCase):
    def test_units(self) -> None:
        self.assertEqual([rate_bits(t) for t in ("50mbit", "1.5gbit", "9600bit")], [50e6, 1.5e9, 9600])


if __name__ == "__main__":
    unittest.main()
