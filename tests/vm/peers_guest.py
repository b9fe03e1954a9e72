#!/usr/bin/env python3
"""Inside a guest: one scene of the lab under each peer, figures as JSON lines: `peers_guest.py SCENE SECONDS [PEER...]`."""
from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tests/lab"))

from lab import Lab, exit_on_signals  # noqa: E402
from netns import LabError, run  # noqa: E402
from scene import Scene, measure  # noqa: E402
from treatments import Kernel, Policer, Raw, Sluice, Treatment, rate_bits  # noqa: E402

SCENES = {scene.name: scene for scene in (
    Scene("4 TCP"), Scene("16 TCP", flows=16), Scene("64 TCP", flows=64), Scene("UDP flood", flood_ratio=3),
    Scene("rate halves", step=0.5, policy_rate=False), Scene("rate doubles", step=2, policy_rate=False),
    Scene("RRUL: 4 TCP each way", reverse_flows=4), Scene("4 TCP, short flows", short_flows_per_s=10),
    Scene("1 TCP, RTT 100 ms", flows=1, rtt_ms=100),
    Scene("cubic, reno, bbr", flows=12, congestion_controls=["cubic", "reno", "bbr"]))}
KEYS = ("goodput_mbit", "utilisation", "jain", "delay_ms_p50", "delay_ms_p99", "delay_ms_max", "probe_rtt_ms_p50", "probe_rtt_ms_p99",
        "probe_loss", "tcp_share", "reverse_mbit", "short_flows", "unexplained")


@dataclass
class Queue(Kernel):
    """Kernel forwarding with queue disciplines at the slow port; without any, the TX ring is the only queue."""

    lines: list[str] = field(default_factory=list)  # for tc, DEV and RATE (99 % of the link) are replaced
    name: str = "kernel"  # what the lab goes by: no GRO, so that a qdisc counts frames

    def start(self, lab: Lab) -> None:
        rate = f"{int(rate_bits(self.rate) * self.share)}bit"
        for line in self.lines:
            run(["tc", *line.replace("DEV", lab.wan).replace("RATE", rate).split()], lab.router)

    def stop(self, lab: Lab) -> None:
        if self.lines:
            super().stop(lab)


HTB = ["qdisc add dev DEV root handle 1: htb default 10",
       "class add dev DEV parent 1: classid 1:10 htb rate RATE burst 3200 cburst 3200 overhead 24 mpu 84"]


def peers(scene: Scene) -> dict[str, Treatment]:
    rate = scene.rate
    return {
        "sluice": Sluice(rate if scene.policy_rate else None),
        "kernel, htb + fq_codel": Queue(rate, lines=[*HTB, "qdisc add dev DEV parent 1:10 fq_codel"]),
        "kernel, cake": Queue(rate, lines=["qdisc add dev DEV root cake bandwidth RATE besteffort flows overhead 24 mpu 84"]),
        "kernel, htb + pfifo 100": Queue(rate, lines=[*HTB, "qdisc add dev DEV parent 1:10 pfifo limit 100"]),
        "policer in XDP, 10 ms": Policer(f"{int(rate_bits(rate) * Kernel.share)}bit"),
        "plain redirect": Raw(),
        "kernel, fq_codel": Queue(rate, lines=["qdisc add dev DEV root fq_codel"]),
        "kernel, ring only": Queue(rate),
    }


def main() -> int:
    scene, exit_code = SCENES[sys.argv[1]], 0
    scene.seconds = float(sys.argv[2])
    exit_on_signals()
    wanted = sys.argv[3:]
    for name, treatment in peers(scene).items():
        if wanted and name not in wanted:
            continue
        try:
            result = measure(scene, treatment, REPOSITORY / "build")
            row = {key: result[key] for key in KEYS} | {"base_rtt_ms": scene.rtt_ms}
        except LabError as error:
            row, exit_code = {"error": str(error)}, 1
        print(json.dumps({"scene": scene.name, "peer": name, **row}), flush=True)
    return exit_code


if __name__ == "__main__":
    raise SystemExit(main())
