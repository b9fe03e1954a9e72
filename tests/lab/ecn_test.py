"""ECN from end to end: what left the source, bit by bit, against what reached the sink; and what the flows made of it."""
from __future__ import annotations

import json
import time

from capture import ECT0, ECT1, NOT_ECT, Capture, Judgement, judge
from lab import SINK_IP, SINK_IP6, Lab
from lab_case import LabCase, once_more_when_noisy, sluice
from netns import run
from scene import Scene

L4S_PORT = 8
L4S_PAYLOAD, L4S_WIRE = 1400, {False: 1400 + 8 + 20 + 14 + 24, True: 1400 + 8 + 40 + 14 + 24}


def retransmitted(lab: Lab) -> int:
    """TCP segments that the source had to send again."""
    names, values = [line.split()[1:] for line in run(["cat", "/proc/net/snmp"], lab.source).splitlines()
                     if line.startswith("Tcp:")]
    return int(dict(zip(names, values))["RetransSegs"])


class Watched:
    """Captures at both ends while traffic flows; the source's begins first and ends last, so that it knows all."""

    def __init__(self, end_s: float, at_end=lambda _: None) -> None:
        self.end_s, self.at_end = end_s, at_end
        self.judgement = Judgement()
        self.retransmitted = self.missed = 0

    def __call__(self, lab: Lab, until) -> None:
        source = Capture(lab.source, lab.source_device, outgoing=True)
        time.sleep(0.5)
        sink = Capture(lab.sink, lab.sink_device, outgoing=False)
        until(self.end_s - 0.2)
        self.at_end(lab)
        self.retransmitted = retransmitted(lab)
        self.missed = sink.stop() + source.stop()
        self.judgement = judge(source.frames, sink.frames)


class Ecn(LabCase):
    def honest(self, seen: Watched) -> None:
        """What holds for every frame, however the machine is."""
        bits = seen.judgement
        self.note(arrived=bits.arrived, not_ect=bits.of[NOT_ECT], ect0=bits.of[ECT0], ect1=bits.of[ECT1], ce=bits.ce,
                  ce_on_not_ect=bits.ce_on_not_ect, changed=bits.changed, bad_checksums=bits.bad_checksums,
                  unknown=bits.unknown, missed=seen.missed, retransmitted=seen.retransmitted)
        self.assertEqual((bits.ce_on_not_ect, bits.changed, bits.bad_checksums), (0, 0, 0))
        self.assertGreater(bits.arrived, 5000)
        self.assertLessEqual(bits.unknown, seen.missed)

    def lossless(self, figures: dict, seen: Watched) -> None:
        """Every loss would be sent again. The resets that killed receivers send in the end carry no ECT."""
        lost = sum(n for name, n in figures["verdicts"].items() if name.startswith(("drop", "kernel")))
        self.assertEqual(seen.retransmitted, 0)
        self.assertLessEqual(lost, 8)
        self.assertGreater(figures["verdicts"].get("mark", 0), 50)
        self.assertGreaterEqual(figures["utilisation"], 0.9)

    def tcp_flows(self, ipv6: bool) -> None:
        scene = Scene("ecn", flows=4, congestion_controls=["cubic", "reno"], ecn=True, ipv6=ipv6, seconds=6, warmup=2)
        seen = Watched(scene.end_s)
        figures = self.measure(scene, sluice(), seen)
        self.note(verdicts=figures["verdicts"], utilisation=figures["utilisation"])
        self.honest(seen)
        self.assertGreater(seen.judgement.of[ECT0], 0.9 * seen.judgement.arrived, "the flows did not agree on ECN")
        self.assertGreater(seen.judgement.ce, 50)
        self.lossless(figures, seen)

    @once_more_when_noisy
    def test_tcp_flows_lose_nothing(self) -> None:
        self.tcp_flows(ipv6=False)

    @once_more_when_noisy
    def test_tcp_flows_lose_nothing_over_ipv6(self) -> None:
        self.tcp_flows(ipv6=True)

    @once_more_when_noisy
    def test_flood_without_ecn_is_dropped_and_never_marked(self) -> None:
        """A UDP flood that cannot be marked beside flows that can: it loses frames, they lose none."""
        scene = Scene("ecn-flood", flows=2, ecn=True, flood_ratio=2, seconds=5, warmup=2)
        seen = Watched(scene.end_s)
        figures = self.measure(scene, sluice(), seen)
        self.note(verdicts=figures["verdicts"], tcp_share=figures["tcp_share"])
        self.honest(seen)
        self.assertGreater(seen.judgement.of[NOT_ECT], 2000)
        self.assertGreater(seen.judgement.ce, 30)
        self.assertGreater(figures["verdicts"].get("drop_limit", 0), 5000)
        self.assertLessEqual(seen.retransmitted, 0.002 * seen.judgement.of[ECT0])
        self.assertGreaterEqual(figures["tcp_share"], 0.55)

    def l4s(self, scene: Scene) -> tuple[dict, dict, Watched]:
        """A scalable flow beside the flows of the scene: its report, the figures, what was captured."""
        report: dict = {}
        watched = Watched(scene.end_s, lambda _: report.update(json.loads(sender[0].output())))
        sender: list = []

        def during(lab: Lab, until) -> None:
            program = lab.binary("l4s_flow")
            lab.spawn("l4s-receive", lab.sink, [program, "receive", "--port", str(L4S_PORT)]).wait_ready()
            sender.append(lab.spawn("l4s-send", lab.source, [
                program, "send", "--to", SINK_IP6 if scene.ipv6 else SINK_IP, "--port", str(L4S_PORT), "--payload",
                str(L4S_PAYLOAD), "--seconds", str(scene.end_s - 1), "--warmup", str(scene.warmup)]))
            watched(lab, until)

        figures = self.measure(scene, sluice(), during)
        self.note(l4s=report, verdicts=figures["verdicts"])
        self.honest(watched)
        self.assertGreater(watched.judgement.of[ECT1], 3000)
        self.assertGreater(report["marked"], 100)
        self.assertEqual(report["lost"], 0)
        return report, figures, watched

    def l4s_alone(self, ipv6: bool) -> None:
        """It keeps its queue at the step, about a millisecond, and the link busy."""
        report, figures, _ = self.l4s(Scene("l4s", flows=0, ecn=True, ipv6=ipv6, seconds=5, warmup=2))
        wire_mbit = report["payload_mbit"] * L4S_WIRE[ipv6] / L4S_PAYLOAD
        self.note(wire_mbit=wire_mbit, queue_p50_ms=report["rtt_ms"]["p50"] - report["rtt_ms"]["min"])
        self.assertGreaterEqual(wire_mbit, 0.9 * 50)
        self.assertLessEqual(report["rtt_ms"]["p50"] - 20, 4)
        self.assertLessEqual(figures["delay_ms_p99"], 8)

    @once_more_when_noisy
    def test_l4s_flow_waits_a_millisecond(self) -> None:
        self.l4s_alone(ipv6=False)

    @once_more_when_noisy
    def test_l4s_flow_waits_a_millisecond_over_ipv6(self) -> None:
        self.l4s_alone(ipv6=True)

    @once_more_when_noisy
    def test_l4s_and_classic_share_fairly(self) -> None:
        """Two cubic flows with ECT(0) beside it: each flow has its own signal, so none pushes the other aside."""
        report, figures, watched = self.l4s(Scene("l4s-mixed", flows=2, ecn=True, seconds=6, warmup=2))
        third = 50 / 3 * L4S_PAYLOAD / L4S_WIRE[False]
        self.note(l4s_share=report["payload_mbit"] / third, retransmitted=watched.retransmitted)
        self.assertGreaterEqual(report["payload_mbit"], 0.75 * third)
        self.assertLessEqual(report["payload_mbit"], 1.3 * third)
        self.assertLessEqual(report["rtt_ms"]["p50"] - 20, 6)
        self.assertEqual(watched.retransmitted, 0)
