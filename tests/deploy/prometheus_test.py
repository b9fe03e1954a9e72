"""Alert rules and dashboard, as far as they can be judged without a running daemon; tests/lab/metrics_test.py has the
rest.
"""
from __future__ import annotations

import json
import subprocess
import sys
import unittest
from pathlib import Path

import yaml

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
RULES = DEPLOY / "prometheus/sluice.rules.yml"
RULE_TESTS = DEPLOY / "prometheus/sluice.rules.test.yml"


def rules() -> list[dict]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


class Promtool(unittest.TestCase):
    def promtool(self, *argv: str) -> None:
        done = subprocess.run(["promtool", *argv], capture_output=True, text=True, cwd=RULES.parent)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_check_rules(self) -> None:
        self.promtool("check", "rules", RULES.name)

    def test_each_alert_fires_on_its_fault_only(self) -> None:
        self.promtool("test", "rules", RULE_TESTS.name)

    def test_no_alert_goes_untested(self) -> None:
        alerts = {rule["alert"] for rule in rules()}
        healthy, faulty = yaml.safe_load(RULE_TESTS.read_text())["tests"]
        self.assertEqual({row["alertname"] for row in healthy["alert_rule_test"]}, alerts)
        for test in faulty["promql_expr_test"]:
            self.assertEqual(test["exp_samples"][0]["value"], len(alerts), "the fault test counts all alerts")

    def test_example_configuration(self) -> None:
        self.promtool("check", "config", "--syntax-only", "prometheus.yml")

    def test_every_alert_says_what_to_do(self) -> None:
        for rule in rules():
            self.assertIn(rule["labels"]["severity"], ("warning", "critical"), rule["alert"])
            self.assertTrue(rule["annotations"]["summary"], rule["alert"])


class Dashboard(unittest.TestCase):
    def test_file_is_in_step_with_its_table(self) -> None:
        made = subprocess.run([sys.executable, "-B", DEPLOY / "grafana/dashboard.py"], capture_output=True, text=True,
                              check=True).stdout
        self.assertEqual(made, (DEPLOY / "grafana/sluice.json").read_text(),
                         "stale: deploy/grafana/dashboard.py > deploy/grafana/sluice.json")

    def test_panels_do_not_overlap(self) -> None:
        panels = [panel["gridPos"] for panel in json.loads((DEPLOY / "grafana/sluice.json").read_text())["panels"]]
        for i, a in enumerate(panels):
            self.assertLessEqual(a["x"] + a["w"], 24)
            for b in panels[:i]:
                apart = (a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"] or a["y"] + a["h"] <= b["y"]
                         or b["y"] + b["h"] <= a["y"])
                self.assertTrue(apart, f"{a} {b}")


if __name__ == "__main__":
    unittest.main()
