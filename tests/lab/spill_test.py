"""Spill: what must not join the TX ring waits in the kernel's own qdisc, in order, and takes no more than its share."""
from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

from capture import Capture, parse
from lab import Lab
from lab_case import LabCase, once_more_when_noisy, port
from netns import run
from scene import Scene
from treatments import Raw, Sluice

POLICY = """version: 1
ports:
  lan: {device: LAN_DEVICE}
  wan: {device: WAN_DEVICE, rate: 50mbit, spill: {qdisc: pfifo, limit: 600}}
transitions:
  - from: [lan]
    to: wan
    classes: [{name: default, when_full: [spill, drop]}]
"""
LONG = Scene("spill", flows=1, congestion_controls=["reno"], rtt_ms=100, ring=64, seconds=8, warmup=4, probe_interval_ms=20,
             router_gro=False)
ATTEMPTS = 4


def reordered(sent: list[bytes], arrived: list[bytes]) -> tuple[int, int]:
    """(packets that arrived after one of their flow that was sent later, packets). Only TCP with a payload; a packet
    sent twice is known by its first sending, and a second arrival is no news."""
    order: dict[bytes, int] = {}
    for index, frame in enumerate(sent):
        if len(frame) > 100 and (packet := parse(frame)):
            order.setdefault(packet.key, index)
    newest: dict[bytes, int] = {}
    late = count = 0
    for frame in arrived:
        packet = parse(frame)
        index = order.pop(packet.key, None) if packet else None
        if index is None:
            continue
        flow = frame[23:24] + frame[26:38]  # protocol, addresses, ports
        count += 1
        late += index < newest.get(flow, -1)
        newest[flow] = max(index, newest.get(flow, -1))
    return late, count


def has_qdisc(kind: str) -> bool:
    """Kernels differ: the one of the machines that this was written on has no fq_codel, Debian's do."""
    done = subprocess.run(["unshare", "-n", "tc", "qdisc", "add", "dev", "lo", "root", kind], capture_output=True)
    return done.returncode == 0


class Spill(LabCase):
    def treatment(self, qdisc: str = "pfifo") -> Sluice:
        path = Path("/tmp") / f"spill-policy-{self.id()}.yaml"
        path.write_text(POLICY.replace("pfifo", qdisc))
        self.addCleanup(path.unlink, missing_ok=True)
        return Sluice("50mbit", policy_file=path)

    def watched(self, scene: Scene, treatment: Sluice) -> dict:
        """One run, with how many packets of a flow overtook each other, and the status in the middle of it."""
        seen: dict = {}

        def during(lab: Lab, until) -> None:
            source = Capture(lab.source, lab.source_device, outgoing=True)
            sink = Capture(lab.sink, lab.sink_device, outgoing=False)
            until(scene.end_s - 0.3)
            seen["wan"] = port(treatment.status(lab))
            seen["qdiscs"] = run(["tc", "-s", "qdisc", "show", "dev", lab.wan], lab.router)
            sink.stop()
            source.stop()
            seen["late"], seen["packets"] = reordered(source.frames, sink.frames)

        figures = self.measure(scene, treatment, during)
        wan = seen["wan"]
        self.note(verdicts=figures["verdicts"], late=seen["late"], packets=seen["packets"],
                  slow=wan["slow_packets"], waiting=wan["spill_waiting_packets"], rate=wan["spill_rate_bytes_per_s"],
                  utilisation=figures["utilisation"], kernel=figures["forwarded_by_kernel"])
        self.assertGreater(seen["packets"], 1000)
        self.assertLessEqual(seen["late"], 0.001 * seen["packets"])
        self.assertIn("qdisc tbf 5107:", seen["qdiscs"])
        self.assertEqual(figures["verdicts"].get("kernel_ring_full", 0), 0)
        return figures

    @once_more_when_noisy
    def test_one_flow_with_a_long_round_trip(self) -> None:
        """64 descriptors are 16 ms of this link: too few for one flow with 100 ms, however well it is treated.

        In one run of five the slow start, which loses a thousand packets to any FIFO, halves Reno's window twice, and 20 s
        are gone until it fills the link again: the queue has no part in that, so there are some attempts."""
        plain = self.measure(LONG, Raw())
        for _ in range(ATTEMPTS):
            figures = self.watched(LONG, self.treatment())
            if figures["utilisation"] >= 0.9:
                break
        self.note(plain_mbit=plain["goodput_mbit"], spill_mbit=figures["goodput_mbit"])
        self.assertGreater(figures["verdicts"].get("spill", 0), 1000)
        self.assertGreaterEqual(figures["utilisation"], 0.9)
        self.assertGreaterEqual(figures["utilisation"], plain["utilisation"] - 0.02)

    def test_sparse_flows_do_not_wait_behind_spilled_ones(self) -> None:
        """With a fair queue in the slow path; runs in the guests with Debian's kernels (tests/vm)."""
        if not has_qdisc("fq_codel"):
            self.skipTest("this kernel has no fq_codel")
        scene = replace(LONG, name="spill-fair", flows=4, congestion_controls=["cubic"], rtt_ms=20, ring=256, seconds=4,
                        warmup=2)
        figures = self.watched(scene, self.treatment("fq_codel"))
        self.note(utilisation=figures["utilisation"], p50=figures["delay_ms_p50"], p99=figures["delay_ms_p99"])
        self.assertGreater(figures["verdicts"].get("spill", 0), 200)
        self.assertGreaterEqual(figures["utilisation"], 0.85)
        self.assertLessEqual(figures["delay_ms_p99"], 25)

    @once_more_when_noisy
    def test_fast_and_slow_path_share_the_port(self) -> None:
        """Four flows that spill and come back: none overtakes itself, nobody starves. A pfifo, which is all that this
        machine's kernel has, makes sparse flows wait."""
        scene = replace(LONG, name="spill-four", flows=4, congestion_controls=["cubic"], rtt_ms=20, ring=256, seconds=5,
                        warmup=2)
        figures = self.watched(scene, self.treatment())
        self.assertGreater(figures["verdicts"].get("spill", 0), 1000)
        self.assertGreater(figures["verdicts"].get("forward", 0), 100)
        self.assertGreaterEqual(figures["utilisation"], 0.85)
