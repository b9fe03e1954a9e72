"""What the router does with the traffic: plain XDP redirect, kernel forwarding with a shaper, or sluice.

Each treatment is started in a ready lab, and after stop() says which frames it can account for.
"""
from __future__ import annotations

import json
import re
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Protocol

from lab import Lab
from netns import LabError, Process, run


@dataclass
class Account:
    """Frames by reason. `lost`: never reached the link, and counted. `passed`: given to the router's kernel, which may
    do with them what it likes. `spilled`: given to it to forward, and `spilled_lost` of these died in its qdisc."""

    verdicts: dict[str, int] = field(default_factory=dict)
    lost: int = 0
    passed: int = 0
    spilled: int = 0
    spilled_lost: int = 0
    status: dict = field(default_factory=dict)  # the treatment's own full report, if it has one

    def minus(self, before: Account) -> Account:
        """What was counted since `before`."""
        verdicts = {name: n - before.verdicts.get(name, 0) for name, n in self.verdicts.items()}
        return Account(verdicts, self.lost - before.lost, self.passed - before.passed, self.spilled - before.spilled,
                       self.spilled_lost - before.spilled_lost, self.status)


class Treatment(Protocol):
    name: str

    def start(self, lab: Lab) -> None: ...
    def account(self, lab: Lab) -> Account: ...
    def stop(self, lab: Lab) -> None: ...


def rate_bits(text: str) -> float:
    match = re.fullmatch(r"([0-9.]+)\s*([kmg]?)bit", text)
    if not match:
        raise LabError(f"rate '{text}' is not a rate (write it like 50mbit)")
    return float(match[1]) * {"": 1, "k": 1e3, "m": 1e6, "g": 1e9}[match[2]]


class Raw:
    """Plain XDP redirect: whatever the ring refuses is gone, and nobody of the data path knows."""

    name = "raw"

    def start(self, lab: Lab) -> None:
        self._process = lab.spawn("plain_redirect", lab.router,
                                  [lab.binary("plain_redirect"), "--from", lab.lan, "--to", lab.wan])
        self._process.wait_ready()

    def account(self, lab: Lab) -> Account:
        counts = json.loads(self._process.request_line(signal.SIGUSR1))
        return Account(counts, passed=counts["pass_fib"] + counts["pass_other"])

    def stop(self, lab: Lab) -> None:
        self._process.stop()


@dataclass
class Policer(Raw):
    """Plain redirect behind a token bucket: what people write into XDP when a port needs a rate. Blind to flows."""

    rate: str
    burst_ms: float = 10
    name: str = "policer"

    def start(self, lab: Lab) -> None:
        self._process = lab.spawn("plain_redirect", lab.router, [
            lab.binary("plain_redirect"), "--from", lab.lan, "--to", lab.wan, "--police", str(rate_bits(self.rate)),
            "--burst-ms", str(self.burst_ms)])
        self._process.wait_ready()

    def account(self, lab: Lab) -> Account:
        counts = json.loads(self._process.request_line(signal.SIGUSR1))
        return Account(counts, lost=counts["policed"], passed=counts["pass_fib"] + counts["pass_other"])


@dataclass
class Kernel:
    """Kernel forwarding, HTB just below the link's first rate with a pfifo: the usual cure without XDP."""

    rate: str
    pfifo: int = 100
    share: float = 0.99
    name: str = "kernel"

    def start(self, lab: Lab) -> None:
        bits = int(rate_bits(self.rate) * self.share)
        for line in (f"qdisc add dev {lab.wan} root handle 1: htb default 10",
                     f"class add dev {lab.wan} parent 1: classid 1:10 htb rate {bits}bit burst 3200 cburst 3200 "
                     f"overhead 24 mpu 84",
                     f"qdisc add dev {lab.wan} parent 1:10 handle 10: pfifo limit {self.pfifo}"):
            run(["tc", *line.split()], lab.router)

    def account(self, lab: Lab) -> Account:
        listing = json.loads(run(["tc", "-s", "-j", "qdisc", "show", "dev", lab.wan], lab.router))
        dropped = sum(q["drops"] for q in listing if q.get("root"))
        ring = lab.device_counters(lab.router, lab.wan)["tx_dropped"]
        forwarded = lab.link.command("stats")["stack_frames_of_source"]
        return Account({"qdisc_drop": dropped, "ring_full": ring}, lost=dropped + ring,
                       passed=forwarded + lab.received_multicast(), status={"tc": listing})

    def stop(self, lab: Lab) -> None:
        run(["tc", "qdisc", "del", "dev", lab.wan, "root"], lab.router)


POLICY = """version: 1
ports:
  lan: {{device: {lan}}}
  wan: {{device: {wan}{rate}}}
transitions:
  - from: [lan]
    to: wan
    mode: {mode}
{aqm}"""


@dataclass
class Sluice:
    """sluiced with a policy made here, or with the file given; LAN_DEVICE and WAN_DEVICE in it are replaced."""

    rate: str | None  # none: sluice finds it
    policy_file: Path | None = None
    aqm: str = ""  # e.g. "limit: 5ms, ecn: false"
    mode: str = "enforce"
    daemon: str | None = None
    options: list[str] = field(default_factory=list)  # more arguments for sluiced
    listen: str = ""  # address of metrics and API, e.g. 127.0.0.1:9655
    before: Callable[[Lab], None] = lambda _: None  # once, before the daemon starts
    through: list[str] = field(default_factory=list)  # a command that runs the daemon, such as setpriv ...
    name: str = "sluice"

    def policy_text(self, lab: Lab) -> str:
        if self.policy_file:
            return self.policy_file.read_text().replace("LAN_DEVICE", lab.lan).replace("WAN_DEVICE", lab.wan)
        return POLICY.format(lan=lab.lan, wan=lab.wan, rate=f", rate: {self.rate}" if self.rate else "",
                             mode=self.mode, aqm=f"    aqm: {{{self.aqm}}}\n" if self.aqm else "")

    def start(self, lab: Lab, text: str | None = None) -> None:
        """`text`: in place of the policy that this treatment is about."""
        self.running_policy = lab.folder / "policy.yaml"
        self.running_policy.write_text(self.policy_text(lab) if text is None else text)
        self.control = lab.folder / "run/control.sock"
        self.before(lab)
        daemon = self.daemon or lab.binary("sluiced")
        self.process: Process = lab.spawn("sluiced", lab.router, [
            *self.through, daemon, "--policy", str(self.running_policy), "--web.listen-address", self.listen,
            "--control-socket", str(self.control), "--state-dir", str(lab.folder / "state"), "--pin-path", str(lab.pins), *self.options])
        self.process.wait_ready()

    def status(self, lab: Lab) -> dict:
        if not self.process.alive():
            raise LabError(f"sluiced ended by itself: {self.process.messages()[-2000:]}")
        return json.loads(run([lab.binary("sluicectl"), "--control-socket", str(self.control), "status", "-o", "json"],
                              lab.router))

    def account(self, lab: Lab) -> Account:
        return account_of_snapshot(self.status(lab))

    def stop(self, lab: Lab) -> None:
        self.process.stop()


def count_of(rows: list[dict], name: str) -> int:
    return sum(row["packets"] for row in rows if row["name"] == name)


def account_of_snapshot(snapshot: dict) -> Account:
    """Sums the reasons of every port; keys that a version lacks count as nothing."""
    account = Account(status=snapshot)

    def add(rows: list[dict], prefix: str = "") -> int:
        for row in rows:
            if row.get("packets"):
                name = prefix + row["name"]
                account.verdicts[name] = account.verdicts.get(name, 0) + row["packets"]
        return sum(row.get("packets", 0) for row in rows)

    for port in snapshot.get("ports", []):
        account.passed += add(port.get("passed", []))
        account.lost += add(port.get("kernel_drops", []), "kernel_")
        account.spilled_lost += count_of(port.get("kernel_drops", []), "spill_qdisc")
        for cls in port.get("classes", []):
            outcomes = cls.get("outcomes", [])
            add(outcomes)
            account.spilled += count_of(outcomes, "spill")
            account.lost += sum(row["packets"] for row in outcomes if row["name"].startswith(("drop", "bounce")))
    return account
