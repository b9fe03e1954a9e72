"""What sluice says of the TX ring, against what the test itself put there while the link stood still."""
from __future__ import annotations

import os
import signal
import time

from lab import Lab
from lab_case import BULK, PROBE_LOSS, LabCase, flood, port, probe, sluice
from treatments import Sluice


class RingTruth(LabCase):
    """Shadow mode forwards every frame, so that the ring holds what was sent; the reader is the same."""

    def setUp(self) -> None:
        self.sent: list[tuple[int, int]] = []

    def consumed(self, lab: Lab) -> int:
        return lab.link.command("stats")["forward"]["received"] - self.base

    def check(self, lab: Lab, treatment: Sluice) -> None:
        """The link stands: nothing moves between the two readings."""
        status = treatment.status(lab)
        ring = port(status)["rings"][0]
        left = self.sent[self.consumed(lab):]
        head_ns = status["time_ns"] - left[0][1] if left else 0
        truth = {"occupancy": len(left), "waiting_bytes": sum(wire for wire, _ in left), "sojourn_ns": head_ns}
        said = {key: ring[key] for key in truth}
        self.note(sent=len(self.sent), truth=truth, sluice=said)
        self.assertLessEqual(abs(said["occupancy"] - truth["occupancy"]), BULK)
        self.assertEqual(said["waiting_bytes"], truth["waiting_bytes"])
        self.assertLessEqual(abs(said["sojourn_ns"] - head_ns), 0.1 * head_ns + 1e6)

    def drain(self, lab: Lab) -> None:
        lab.link.command("resume")
        lab.wait_quiet(0.1)
        self.assertEqual(self.consumed(lab), len(self.sent), "frames lost between sending and the link")

    def test_occupancy_bytes_and_sojourn(self) -> None:
        treatment = sluice(mode="shadow")
        with self.lab(treatment) as lab, self.accounted(lab, treatment):
            self.base = lab.link.command("stats")["forward"]["received"]
            injector = self.injector(lab)
            for count in (1, BULK - 1, BULK, BULK + 1, 300, 700, 900):  # 700 and 900 wrap around the ring of 1000
                with self.subTest(frames=count):
                    lab.link.command("pause")
                    self.sent += injector.send(count, len(self.sent))
                    time.sleep(0.03)
                    self.check(lab, treatment)
                    self.drain(lab)
                    self.check(lab, treatment)  # empty again
            with self.subTest("half consumed"):
                lab.link.command("pause")
                self.sent += injector.send(600, len(self.sent))
                lab.link.command("resume")
                time.sleep(0.03)
                lab.link.command("pause")
                self.check(lab, treatment)
                self.drain(lab)

    def test_reading_stays_true_while_nothing_arrives(self) -> None:
        """The controller may sleep, the link may stand: who asks later gets the age of later."""
        treatment = sluice(mode="shadow")
        with self.lab(treatment) as lab:
            self.base = lab.link.command("stats")["forward"]["received"]
            injector = self.injector(lab)
            lab.link.command("pause")
            self.sent += injector.send(100)
            time.sleep(1.5)
            self.check(lab, treatment)
            self.drain(lab)
            time.sleep(0.5)
            self.check(lab, treatment)

    def test_full_ring_is_counted(self) -> None:
        treatment = sluice(mode="shadow")
        with self.lab(treatment, ring=500) as lab, self.accounted(lab, treatment):
            injector = self.injector(lab)
            lab.link.command("pause")
            injector.send(600)
            time.sleep(0.05)
            wan = port(treatment.status(lab))
            full = {row["name"]: row["packets"] for row in wan["kernel_drops"]}["ring_full"]
            self.note(occupancy=wan["rings"][0]["occupancy"], ring_full=full)
            self.assertEqual(full, 600 - wan["sent_packets"])
            self.assertAlmostEqual(wan["rings"][0]["occupancy"], 500, delta=BULK)
            self.assertEqual(wan["rings"][0]["size"], 500)
            lab.link.command("resume")

    def test_two_queues(self) -> None:
        cpus = sorted(os.sched_getaffinity(0))
        if len(cpus) < 2:
            self.skipTest("needs two CPUs: the CPU chooses the queue")
        treatment = sluice(mode="shadow")
        self.addCleanup(os.sched_setaffinity, 0, cpus)
        with self.lab(treatment, queues=2) as lab, self.accounted(lab, treatment):
            injector = self.injector(lab)
            lab.link.command("pause")
            sent: dict[int, list[tuple[int, int]]] = {0: [], 1: []}
            for cpu, count in ((cpus[0], 120), (cpus[1], 250), (cpus[0], 60)):
                os.sched_setaffinity(0, {cpu})
                time.sleep(0.02)
                sent[cpu % 2] += injector.send(count)
                time.sleep(0.02)
            status = treatment.status(lab)
            rings = {ring["index"]: ring for ring in port(status)["rings"]}
            for queue, frames in sent.items():
                head_ns = status["time_ns"] - frames[0][1]
                self.note(queue=queue, frames=len(frames), bytes=sum(w for w, _ in frames), head_ns=head_ns,
                          ring=rings.get(queue))
                self.assertAlmostEqual(rings[queue]["occupancy"], len(frames), delta=BULK)
                self.assertEqual(rings[queue]["waiting_bytes"], sum(wire for wire, _ in frames))
                self.assertAlmostEqual(rings[queue]["sojourn_ns"], head_ns, delta=0.1 * head_ns + 1e6)
            lab.link.command("resume")
            lab.wait_quiet(0.1)
            for ring in port(treatment.status(lab))["rings"]:
                self.assertEqual((ring["occupancy"], ring["waiting_bytes"]), (0, 0))


class Staleness(LabCase):
    """While the link stands a flood fills the ring until sluice refuses all; then nobody passes the egress hook any
    more, and its last reading says "full" for ever unless somebody ages it."""

    def reopens(self, treatment: Sluice, controller_stopped: bool) -> None:
        with self.lab(treatment) as lab, self.accounted(lab, treatment):
            flood(lab, "150mbit", 0.3)
            if controller_stopped:
                treatment.process.signal(signal.SIGSTOP)
            lab.link.command("pause")
            flood(lab, "150mbit", 0.6)
            served = lab.link.command("stats")["forward"]["received"]
            lab.link.command("resume")
            time.sleep(1000 * 1266 * 8 / 50e6 + 0.3)  # one full ring at the link's rate, and a margin
            fresh = probe(lab, 1)
            if controller_stopped:
                treatment.process.signal(signal.SIGCONT)
            after = lab.link.command("stats")["forward"]["received"]
            self.note(in_ring=after - served - fresh["sent"] + fresh["lost"], probe_sent=fresh["sent"],
                      probe_lost=fresh["lost"], rtt_ms=fresh["rtt_ms"])
            self.assertLessEqual(fresh["lost"], PROBE_LOSS * fresh["sent"])

    def test_port_reopens_after_a_flood(self) -> None:
        self.reopens(sluice(), controller_stopped=False)

    def test_port_reopens_with_the_controller_stopped(self) -> None:
        self.reopens(sluice(), controller_stopped=True)

    def test_port_reopens_without_a_rate(self) -> None:
        self.reopens(sluice(None), controller_stopped=False)
