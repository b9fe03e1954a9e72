#!/usr/bin/env python3
"""Sluice for a long time under load, with reloads, restarts, link flaps, stalls and rate changes: what grows, what drifts,
what is lost? `soak.py --minutes 30` writes soak.json and soak.html and fails when something did.

A run is made of cycles: traffic and interference, then silence, in which every frame must be accounted for, the phantom
queue empty and the ring too. Every third cycle begins with a new daemon; memory and descriptors are compared within the
life of one.
"""
from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "faults"))

import svg
from lab import Lab, LabOptions, exit_on_signals
from lab_case import port, sluice
from machine import machine_facts
from netns import LabError, ip_batch, run
from process_facts import bpf_bytes, descriptors, resident_kib, threads
from scene import Counters, accounting, alone
from traffic import FIRST_TCP_SOURCE, Traffic, TrafficOptions
from treatments import Sluice

RATES = ("50mbit", "25mbit", "80mbit")
SEED = 8289
# A daemon may take this much between its first silence and its last: allocators keep what a burst needed.
MOST_GROWTH_KIB, MOST_GROWTH_PER_MINUTE_KIB = 6 * 1024, 128
MOST_DESCRIPTORS = 2  # more than at the first silence: a connection that is just closing


@dataclass
class Silence:
    """What was found after one cycle."""

    minute: float
    life: int  # which daemon
    events: list[str]
    accounts: dict
    quiet: bool
    resident_kib: int
    descriptors: int
    threads: int
    bpf_bytes: int
    phantom_bytes: int  # must be 0: there is nothing left to wait for
    ring_bytes: int
    health: str


@dataclass
class Sample:
    """Under load, twice a second."""

    minute: float
    resident_kib: int
    phantom_bytes: int
    ring_bytes: int
    sojourn_ms: float
    dropped: int


@dataclass
class Soak:
    lab: Lab
    treatment: Sluice
    cycle_s: float
    random: random.Random = field(default_factory=lambda: random.Random(SEED))
    begin: float = field(default_factory=time.monotonic)
    life: int = 0
    silences: list[Silence] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)

    def minute(self) -> float:
        return round((time.monotonic() - self.begin) / 60, 3)

    # ---- interference

    def reload(self) -> str:
        limit = self.random.choice((8, 10, 12, 15))
        text = self.treatment.policy_text(self.lab).replace("mode: enforce", f"mode: enforce\n    aqm: {{limit: {limit}ms}}")
        self.treatment.running_policy.write_text(text)
        run([self.lab.binary("sluicectl"), "--control-socket", str(self.treatment.control), "reload"], self.lab.router)
        return f"reload {limit}ms"

    def change_rate(self) -> str:
        """Of the link and, a moment later, of the policy: in between the policy is wrong."""
        rate = self.random.choice(RATES)
        self.lab.link.command(f"rate {rate}")
        time.sleep(0.4)
        self.treatment.rate = rate
        return f"rate {rate}, {self.reload()}"

    def stall(self) -> str:
        self.lab.link.command("pause")
        time.sleep(0.5)
        self.lab.link.command("resume")
        return "stall 0.5 s"

    def flap(self) -> str:
        """Down and up; the stack forgets the neighbours of a port that goes down."""
        lab = self.lab
        ip_batch(lab.router, [f"link set {lab.wan} down"])
        time.sleep(0.2)
        ip_batch(lab.router, [f"link set {lab.wan} up"])
        lab.restore_slow_side()
        return "flap 0.2 s"

    def interfere(self) -> str:
        return self.random.choice((self.reload, self.reload, self.change_rate, self.stall, self.flap))()

    # ---- one cycle

    def sample(self) -> None:
        status = self.treatment.status(self.lab)
        wan = port(status)
        dropped = sum(o["packets"] for c in wan["classes"] for o in c["outcomes"] if o["name"].startswith("drop"))
        self.samples.append(Sample(self.minute(), resident_kib(self.treatment.process.pid),
                                   sum(c["backlog_bytes"] for c in wan["classes"]),
                                   sum(r["waiting_bytes"] for r in wan["rings"]),
                                   max((r["sojourn_ns"] for r in wan["rings"]), default=0) / 1e6, dropped))

    def cycle(self) -> None:
        lab, treatment, events = self.lab, self.treatment, []
        if self.silences:
            lab.unmute_source()
        before = Counters.read(lab, treatment)
        traffic = Traffic(lab, TrafficOptions(flows=8, congestion_controls=["cubic", "bbr"], flood_rate="20mbit",
                                              flood_after_s=0.5, first_source=FIRST_TCP_SOURCE + len(self.silences) % 90 * 100))
        traffic.prepare()
        traffic.start(time.monotonic_ns(), [(0, self.cycle_s)])
        end, next_event = time.monotonic() + self.cycle_s, time.monotonic() + 1
        while time.monotonic() < end:
            self.sample()
            if time.monotonic() > next_event:
                events.append(self.interfere())
                next_event = time.monotonic() + self.random.uniform(1, 2.5)
            time.sleep(0.5)
            traffic.check()
        traffic.stop()
        lab.mute_source()
        quiet = lab.wait_quiet(0.3)
        time.sleep(1.2)  # connections of this test are closed, and the controller has looked once more
        self.note_silence(events, accounting(before, Counters.read(lab, treatment)), quiet)

    def note_silence(self, events: list[str], accounts: dict, quiet: bool) -> None:
        status, pid = accounts.pop("status"), self.treatment.process.pid
        wan = port(status)
        found = Silence(self.minute(), self.life, events, accounts, quiet, resident_kib(pid), descriptors(pid), threads(pid),
                        bpf_bytes(pid), sum(c["backlog_bytes"] for c in wan["classes"]),
                        sum(r["waiting_bytes"] for r in wan["rings"]), status["health"])
        self.silences.append(found)
        print(f"    {found.minute:6.2f} min, daemon {found.life}: received {accounts['received']}, unexplained "
              f"{accounts['unexplained']}, RSS {found.resident_kib} KiB, {found.descriptors} descriptors, BPF "
              f"{found.bpf_bytes >> 10} KiB; {', '.join(events)}", flush=True)

    def restart(self) -> None:
        self.treatment.process.stop()
        self.treatment.start(self.lab)
        self.life += 1

    def run(self, minutes: float) -> None:
        number = 0
        while self.minute() < minutes:
            if number and number % 3 == 0:
                self.restart()
            self.cycle()
            number += 1

    # ---- verdict

    def complaints(self) -> list[str]:
        found = []
        for s in self.silences:
            if not s.quiet or s.accounts["unexplained"]:
                found.append(f"minute {s.minute}: {s.accounts['unexplained']} of {s.accounts['received']} frames unexplained, "
                             f"quiet {s.quiet}: {s.accounts}")
            if s.phantom_bytes or s.ring_bytes:
                found.append(f"minute {s.minute}: {s.phantom_bytes} phantom bytes, {s.ring_bytes} in the ring, in silence")
            if s.health != "ok":
                found.append(f"minute {s.minute}: health is {s.health}")
        for life in {s.life for s in self.silences}:
            mine = [s for s in self.silences if s.life == life]
            first, last = mine[0], mine[-1]
            limit = MOST_GROWTH_KIB + MOST_GROWTH_PER_MINUTE_KIB * (last.minute - first.minute)
            if last.resident_kib - first.resident_kib > limit:
                found.append(f"daemon {life}: RSS grew from {first.resident_kib} to {last.resident_kib} KiB")
            if max(s.descriptors for s in mine) > first.descriptors + MOST_DESCRIPTORS:
                found.append(f"daemon {life}: descriptors {[s.descriptors for s in mine]}")
            if len({s.threads for s in mine}) > 1:
                found.append(f"daemon {life}: threads {[s.threads for s in mine]}")
            if max(s.bpf_bytes for s in mine) > first.bpf_bytes:
                found.append(f"daemon {life}: BPF memory {[s.bpf_bytes for s in mine]}")
        if not any(s.accounts["received"] > 1000 for s in self.silences):
            found.append("there was no traffic to speak of")
        return found

    def report(self) -> dict:
        return {"machine": machine_facts(), "seed": SEED, "complaints": self.complaints(),
                "silences": [asdict(s) for s in self.silences], "samples": [asdict(s) for s in self.samples]}

    def page(self) -> str:
        """Three plots over time: memory, queues, sojourn."""
        end = max(s.minute for s in self.samples)

        def plot(label: str, lines: dict[str, list[float]]) -> str:
            top = max(max(values) for values in lines.values()) or 1
            picture = svg.Plot(svg.Axis("minutes", 0, end), svg.Axis(label, 0, top * 1.05), width=900)
            for css, (title, values) in zip(("sluice", "raw", "kernel"), lines.items()):
                picture.lines.append(svg.Line(css, title, [(s.minute, v) for s, v in zip(self.samples, values)]))
            return f"<h2>{', '.join(lines)}</h2>" + picture.svg()

        style = Path(__file__).with_name("report.css").read_text()
        plots = (plot("MiB", {"RSS": [s.resident_kib / 1024 for s in self.samples]}),
                 plot("kB", {"phantom backlog": [s.phantom_bytes / 1e3 for s in self.samples],
                             "in the ring": [s.ring_bytes / 1e3 for s in self.samples]}),
                 plot("ms", {"sojourn of the ring's head": [s.sojourn_ms for s in self.samples]}))
        verdict = "".join(f"<li>{text}</li>" for text in self.complaints()) or "<li>nothing grew, nothing was lost</li>"
        return f"<!doctype html><title>sluice soak</title><style>{style}</style><ul>{verdict}</ul>{''.join(plots)}"


def soak(bin_dir: Path, minutes: float, cycle_s: float) -> Soak:
    treatment = sluice("50mbit")
    with alone(lambda _: None), Lab(LabOptions(bin_dir=bin_dir)) as lab:
        treatment.start(lab)
        lab.settle()
        lab.link.command("go")
        found = Soak(lab, treatment, cycle_s)
        found.run(minutes)
        treatment.stop(lab)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="soak.py", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--cycle", type=float, default=20, help="seconds of traffic between two silences")
    parser.add_argument("--out", type=Path, default=Path("soak"), help="folder for soak.json and soak.html")
    args = parser.parse_args()
    exit_on_signals()
    bin_dir = Path(os.environ.get("SLUICE_BUILD_DIR", Path(__file__).resolve().parents[2] / "build"))
    try:
        found = soak(bin_dir, args.minutes, args.cycle)
    except LabError as error:
        print(f"soak: {error}", file=sys.stderr)
        return 1
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "soak.json").write_text(json.dumps(found.report(), indent=1))
    (args.out / "soak.html").write_text(found.page())
    for text in found.complaints():
        print(f"soak: {text}")
    print(f"soak: {len(found.silences)} cycles, {args.out}/soak.html")
    return 1 if found.complaints() else 0


if __name__ == "__main__":
    raise SystemExit(main())
