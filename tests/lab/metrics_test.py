"""A real Prometheus scrapes a real daemon, plain and over TLS with client certificate and password; everything that
the alert rules and the Grafana dashboard ask for is there.
"""
from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import tempfile
import time
import urllib.parse
from pathlib import Path

import yaml

from lab import Lab
from lab_case import LabCase, flood, sluice
from netns import run

SOURCE = Path(__file__).resolve().parents[2]
RULES = SOURCE / "deploy/prometheus/sluice.rules.yml"
DASHBOARD = SOURCE / "deploy/grafana/sluice.json"
PASSWORD = "change me"  # of the hash in deploy/prometheus/web.yml
LISTEN = "127.0.0.1:9655"
PROMETHEUS = "127.0.0.1:9090"  # in the lab's own namespace
# Names that only Prometheus itself makes.
OF_PROMETHEUS = {"up", "ALERTS"}
WORDS = {"sum", "count", "by", "and", "or", "unless", "on", "ignoring", "group_left", "time", "rate", "increase",
         "changes", "le", "histogram_quantile", "without"}


def metric_names(expression: str) -> set[str]:
    """Names in a PromQL expression; label matchers, groupings and strings are taken out first."""
    text = re.sub(r'"[^"]*"', "", expression)
    text = re.sub(r"\{[^}]*\}", "", text)
    text = re.sub(r"\[[^\]]*\]", "", text)
    text = re.sub(r"\b(by|without|on|ignoring|group_left)\s*\([^)]*\)", "", text)
    return {name for name in re.findall(r"\b[a-z_][a-z0-9_]*\b(?!\s*\()", text) if name not in WORDS}


def rule_expressions() -> list[str]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule["expr"] for group in groups for rule in group["rules"]]


def dashboard_expressions() -> list[str]:
    board = json.loads(DASHBOARD.read_text())
    return [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]


def certificates(folder: Path) -> None:
    """A CA, a server certificate for loopback, and one for Prometheus."""
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    run(["openssl", "req", "-x509", *key, "-days", "2", "-subj", "/CN=lab CA", "-keyout", str(folder / "ca.key"),
         "-out", str(folder / "ca.crt")])
    (folder / "san").write_text("subjectAltName=IP:127.0.0.1,IP:::1\n")
    for name in ("server", "prometheus"):
        run(["openssl", "req", *key, "-subj", f"/CN={name}", "-keyout", str(folder / f"{name}.key"), "-out",
             str(folder / f"{name}.csr")])
        run(["openssl", "x509", "-req", "-in", str(folder / f"{name}.csr"), "-CA", str(folder / "ca.crt"), "-CAkey",
             str(folder / "ca.key"), "-CAcreateserial", "-days", "2", "-extfile", str(folder / "san"), "-out",
             str(folder / f"{name}.crt")])


class Prometheus:
    """prometheus of the Debian package, in the router's namespace, scraping the daemon there."""

    def __init__(self, lab: Lab, job: str) -> None:
        self._lab = lab
        config = lab.folder / "prometheus.yml"
        config.write_text(f"global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: ['{RULES}']\n"
                          f"scrape_configs:\n  - {{job_name: sluice, {job}static_configs: [{{targets: ['{LISTEN}']}}]}}\n")
        run(["promtool", "check", "config", str(config)])
        self.process = lab.spawn("prometheus", lab.router, [
            "prometheus", "--config.file", str(config), "--storage.tsdb.path", str(lab.folder / "tsdb"),
            "--web.listen-address", PROMETHEUS])

    def get(self, path: str, **query: str) -> dict:
        url = f"http://{PROMETHEUS}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        reply = json.loads(run(["curl", "-s", "--noproxy", "*", url], self._lab.router))
        if reply["status"] != "success":
            raise AssertionError(f"{url}: {reply}")
        return reply["data"]

    def query(self, expression: str) -> list[dict]:
        return self.get("query", query=expression)["result"]

    def value(self, expression: str) -> float | None:
        found = self.query(expression)
        return float(found[0]["value"][1]) if found else None

    def wait_for_scrapes(self, count: int, timeout_s: float = 40) -> None:
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            try:
                if (self.value("count_over_time(up[10m])") or 0) >= count and self.value("up") == 1:
                    return
            except Exception:  # not up yet
                pass
            time.sleep(0.3)
        raise AssertionError(f"no {count} scrapes: {self.process.messages()[-1500:]}\n{self.get('targets')}")


class Scrape(LabCase):
    def scraped(self, job: str, options: list[str]) -> None:
        treatment = sluice(listen=LISTEN, options=options)
        with self.lab(treatment) as lab:
            prometheus = Prometheus(lab, job)
            prometheus.wait_for_scrapes(2)
            self.all_is_there_before_the_first_frame(prometheus)
            run(["promtool", "check", "metrics"], text=run(
                ["curl", "-s", "--unix-socket", str(treatment.control), "http://sluiced/metrics"], lab.router))
            sent = flood(lab, "80mbit", 1.5)["sent"]
            time.sleep(1.5)
            self.everything_is_there(prometheus)
            received = prometheus.value('sluice_receive_packets_total{device="lan0"}')
            self.note(flood_frames=sent, received=received, series=prometheus.value("count({job='sluice'})"))
            self.assertGreaterEqual(received, 0.9 * sent)
            self.histograms_count_frames(prometheus)
            self.assertEqual(prometheus.value("sluice_up"), 1)
            sha256 = run(["sha256sum", str(treatment.running_policy)]).split()[0]
            self.assertEqual(prometheus.query("sluice_policy_info")[0]["metric"]["sha256"], sha256)
            firing = [a["labels"]["alertname"] for a in prometheus.get("alerts")["alerts"] if a["state"] == "firing"]
            self.assertEqual(firing, [])

    def all_is_there_before_the_first_frame(self, prometheus: Prometheus) -> None:
        """Counters that never moved are 0, not absent: increase() over the first event needs that."""
        for name, least in (("sluice_class_outcome_packets_total", 8), ("sluice_kernel_drop_packets_total", 12),
                            ("sluice_pass_packets_total", 24), ("sluice_policy_reloads_total", 3),
                            ("sluice_class_phantom_delay_seconds_bucket", 20),
                            ("sluice_ring_delay_seconds_bucket", 20)):
            self.assertGreaterEqual(prometheus.value(f"count({name})") or 0, least, name)
        self.assertEqual(prometheus.value('sum(sluice_class_outcome_packets_total{reason=~"drop_.*|mark"})'), 0)
        labels = {label for series in prometheus.get("series", **{"match[]": '{job="sluice"}'}) for label in series}
        self.assertFalse(labels & {"src", "dst", "sport", "dport", "flow", "bucket"}, "no labels per flow")

    def histograms_count_frames(self, prometheus: Prometheus) -> None:
        """Ring: every frame that the TX ring took. Class: every frame that asked, but those since the last sample."""
        taken = prometheus.value('sluice_transmit_packets_total{device="wan0"}')
        met = prometheus.value('sluice_ring_delay_seconds_count{device="wan0"}')
        asked = prometheus.value('sum(sluice_class_outcome_packets_total{reason!~"would_.*"})')
        sampled = prometheus.value("sum(sluice_class_phantom_delay_seconds_count)")
        median = prometheus.value("histogram_quantile(0.5, sum by (le) (sluice_class_phantom_delay_seconds_bucket))")
        self.note(taken=taken, met=met, asked=asked, sampled=sampled, median_ms=median * 1e3)
        self.assertEqual(met, taken)
        self.assertLessEqual(sampled, asked)
        self.assertGreaterEqual(sampled, asked - 17 * os.cpu_count())
        self.assertGreater(median, 1e-3, "a flood of 80 Mbit/s at a link of 50 has to wait")
        self.assertLess(median, 0.1)

    def everything_is_there(self, prometheus: Prometheus) -> None:
        """Every metric named by a rule or a panel has series; every expression is one that Prometheus can evaluate."""
        known = set(prometheus.get("label/__name__/values"))
        expressions = rule_expressions() + dashboard_expressions()
        self.assertGreater(len(expressions), 30)
        for expression in expressions:
            names = metric_names(expression)
            self.assertTrue(names, f"no metric found in: {expression}")
            self.assertLessEqual(names, known | OF_PROMETHEUS, f"not in the scrape, used by: {expression}")
            shown = (expression.replace("$instance", ".*").replace("$device", ".*")
                     .replace("$__rate_interval", "1m"))
            prometheus.query(shown)

    def test_plain(self) -> None:
        self.scraped("", [])

    def test_tls_with_client_certificate_and_password(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix="sluice-tls-"))
        self.addCleanup(shutil.rmtree, folder)
        certificates(folder)
        shutil.copy(SOURCE / "deploy/prometheus/web.yml", folder)
        files = f"ca_file: {folder}/ca.crt, cert_file: {folder}/prometheus.crt, key_file: {folder}/prometheus.key"
        self.scraped(f"scheme: https, tls_config: {{{files}}}, "
                     f"basic_auth: {{username: prometheus, password: {PASSWORD}}}, ",
                     ["--web.config.file", str(folder / "web.yml")])


class Watchdog(LabCase):
    def test_systemd_hears_that_the_loop_runs(self) -> None:
        """What systemd would hear: READY=1, then WATCHDOG=1 three times a period; nothing from a daemon that stands."""
        folder = Path(tempfile.mkdtemp(prefix="sluice-notify-"))
        self.addCleanup(shutil.rmtree, folder)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
            systemd.bind(str(folder / "notify"))
            systemd.settimeout(5)
            os.environ.update(NOTIFY_SOCKET=str(folder / "notify"), WATCHDOG_USEC="900000")
            self.addCleanup(os.environ.pop, "NOTIFY_SOCKET")
            self.addCleanup(os.environ.pop, "WATCHDOG_USEC")
            treatment = sluice()
            with self.lab(treatment, listeners=False):
                heard = [systemd.recv(4096).decode() for _ in range(8)]
                treatment.process.signal(signal.SIGSTOP)
                time.sleep(0.5)
                systemd.setblocking(False)
                with self.assertRaises(BlockingIOError):
                    while True:
                        systemd.recv(4096)
                time.sleep(1)
                self.assertRaises(BlockingIOError, systemd.recv, 4096)
                treatment.process.signal(signal.SIGCONT)
                systemd.settimeout(5)
                self.assertIn("WATCHDOG=1", systemd.recv(4096).decode())
            self.note(heard=[line.splitlines()[0] for line in heard])
            self.assertTrue(any("READY=1" in line for line in heard))
            self.assertGreaterEqual(sum("WATCHDOG=1" in line for line in heard), 5)
