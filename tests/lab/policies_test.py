"""The policies that users start from (policies/), each at 1/100 of its rate: real traffic, the right classes, no frame
unexplained. Devices are replaced by the lab's; ports that the lab does not have become idle devices of its router."""
from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from lab import Lab
from lab_case import LabCase, port
from netns import ip_batch, run
from scene import SCENES
from treatments import Account, Sluice, account_of_snapshot

POLICIES = Path(__file__).resolve().parents[2] / "policies"
# The lab's addresses in place of the policy's customers and networks.
SHORT = replace(SCENES["tcp"], warmup=2)


@dataclass
class Case:
    """How a policy meets the lab: which port is the lab's slow one, and what the link drains."""

    file: str
    link: str
    slow: str = "wan"
    fast: str = "lan"
    scale: int = 100
    rewrites: dict[str, str] = field(default_factory=dict)  # of the text, regular expressions
    stretch: int = 1  # of durations: round trips of a data centre are no lab's
    busy_class: str = "default"
    busy_tenant: str = ""
    least: float = 0.5  # utilisation of the link; less where the tenant has a ceiling
    seconds: float = 4  # measured; longer where a flow sends a dozen frames a second


CASES = [
    Case("minimal.yaml", "50mbit", scale=1),
    Case("home-uplink.yaml", "50mbit", scale=1),
    Case("isp-edge.yaml", "10mbit", slow="access", fast="core", busy_tenant="anders", least=0.075, seconds=12,
         rewrites={r"203\.0\.113\.0/29": "10.77.2.0/29"}),
    Case("datacenter-100g-to-10g.yaml", "110mbit", slow="rack", fast="spine1", stretch=100),
    Case("telco-upf.yaml", "100mbit", slow="upf", fast="n6", stretch=10, busy_tenant="embb",
         rewrites={r"100\.64\.0\.0/11": "10.77.2.0/24", r"forward: xconnect": "forward: fib"}),
    Case("branch-two-uplinks.yaml", "60mbit", slow="fibre", fast="office", scale=1),
]


def scaled(text: str, by: int) -> str:
    """Every rate divided: 900mbit -> 9000kbit."""
    def divide(match: re.Match[str]) -> str:
        bits = float(match[1]) * {"k": 1e3, "m": 1e6, "g": 1e9}[match[2]] / by
        return f"{max(1, round(bits / 1e3))}kbit"
    return re.sub(r"\b([0-9.]+)([kmg])bit\b", divide, text)


def stretched(text: str, by: int) -> str:
    """Every duration multiplied: 100us -> 10000us."""
    return re.sub(r"\b([0-9]+)(us|ms)\b", lambda m: f"{int(m[1]) * by}{m[2]}", text)


@dataclass
class OfFile(Sluice):
    """sluiced with one of the policies, made to fit the lab."""

    case: Case | None = None

    def policy_text(self, lab: Lab) -> str:
        case = self.case
        text = stretched(scaled((POLICIES / case.file).read_text(), case.scale), case.stretch)
        for pattern, value in case.rewrites.items():
            text = re.sub(pattern, value, text)
        devices = {case.slow: lab.wan, case.fast: lab.lan}
        others: list[str] = []

        def device(match: re.Match[str]) -> str:
            name = devices.get(match[1]) or f"idle-{match[1]}"
            if name.startswith("idle-"):
                others.append(name)
            return f"  {match[1]}:{match[2]}{{device: {name}"
        text = re.sub(r"(?m)^  ([a-z0-9]+):( *)\{device: [a-z0-9]+", device, text)
        for name in others:
            ip_batch(lab.router, [f"link add {name} type veth peer name {name}-p", f"link set {name} up",
                                  f"link set {name}-p up"])
            run(["ethtool", "-K", f"{name}-p", "gro", "on"], lab.router)
        for csv in POLICIES.glob("*.csv"):
            rows = stretched(scaled(csv.read_text(), case.scale), 1)
            for pattern, value in case.rewrites.items():
                rows = re.sub(pattern, value, rows)
            (lab.folder / csv.name).write_text(rows)
        return text


    def account(self, lab: Lab) -> Account:
        """Of the way from fast to slow: some policies have one back, whose drops are not of the source's frames."""
        status = self.status(lab)
        parts = {self.case.fast: ("passed",), self.case.slow: ("classes", "kernel_drops")}
        ports = [{key: port_[key] for key in parts.get(port_["name"], ()) if key in port_} for port_ in status["ports"]]
        account = account_of_snapshot(status | {"ports": ports})
        account.status = status
        return account


def busiest(shares: list[dict]) -> str:
    """Name of the class or tenant that sent most."""
    return max(shares, key=lambda share: share["admitted_packets"])["name"] if shares else ""


class Policies(LabCase):
    def test_each_is_loaded_and_keeps_the_queue_short(self) -> None:
        for case in CASES:
            with self.subTest(case.file):
                scene = replace(SHORT, name=case.file.split(".")[0], rate=case.link, seconds=case.seconds)
                treatment = OfFile(None, case=case)
                figures = self.measure(scene, treatment)
                self.assertLess(figures["delay_ms_p99"], 60, "plain redirect fills the ring of 1000 frames")
                self.assertGreater(figures["utilisation"], case.least)
                slow = port(figures["status"], case.slow)
                self.assertEqual(busiest(slow["classes"]), case.busy_class)
                self.assertEqual(busiest(slow.get("tenants", [])), case.busy_tenant)

    def test_none_is_forgotten(self) -> None:
        self.assertEqual({case.file for case in CASES}, {p.name for p in POLICIES.glob("*.yaml")})
