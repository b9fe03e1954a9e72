"""`ports.<name>.xdp`: the mode that the policy asks for is the mode that the kernel has, or an error that says why."""
from __future__ import annotations

import json
import os
import re
import socket
import struct
import subprocess
import tempfile
import time
from pathlib import Path

from lab import Lab
from lab_case import LabCase, Unexplained, attach_foreign, port, sluice, unexplained
from netns import in_namespace, inside, ip_batch, run
from life_test import bpf_objects, left_of
from reload_test import sluicectl
from scene import Scene
from three_hosts import ThreeHosts
from treatments import Sluice

FAILED, BUSY, DEGRADED = 1, 4, 4  # exit codes of sluiced, and of sluicectl status
FRAMES = 100
TAG, MARK = 3 << 13 | 7, b"\x88\xb5"  # PCP 3, VLAN 7; local experimental ethertype
ETH_P_ALL, SOL_PACKET, PACKET_AUXDATA, TP_STATUS_VLAN_VALID = 3, 263, 8, 16
KERNEL = tuple(int(number) for number in re.match(r"(\d+)\.(\d+)", os.uname().release).groups())
POLICY = """version: 1
ports:
  lan: {{device: {device}, xdp: {mode}}}
  wan: {{device: WAN_DEVICE, rate: 50mbit}}
transitions:
  - {{from: [lan], to: wan}}
"""


def policy(mode: str, device: str = "LAN_DEVICE") -> str:
    return POLICY.format(mode=mode, device=device)


class XdpCase(LabCase):
    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file = Path(folder.name, "policy.yaml")

    def treatment(self, mode: str) -> Sluice:
        self.file.write_text(policy(mode))
        return sluice(policy_file=self.file)

    def status(self, lab: Lab, treatment: Sluice, code: int = 0) -> dict:
        done = sluicectl(lab, treatment, "status", "-o", "json")
        self.assertEqual(done.returncode, code, done.stdout)
        return json.loads(done.stdout)

    def attached(self, lab: Lab, treatment: Sluice, code: int = 0) -> str:
        """As the kernel says; sluice must say the same."""
        link = run(["ip", "-o", "link", "show", lab.lan], lab.router)
        mode = "generic" if " xdpgeneric " in link else "native" if " xdp " in link else ""
        self.assertEqual(port(self.status(lab, treatment, code), "lan")["xdp_mode"], mode, link)
        return mode

    def forwards(self, lab: Lab, treatment: Sluice) -> None:
        """All frames arrive, none by the kernel's own forwarding; all are counted as sent, none is left over."""
        before, received = lab.link.command("stats"), port(treatment.status(lab), "lan")["received_packets"]
        sent = port(treatment.status(lab))["sent_packets"]
        self.injector(lab).send(FRAMES)
        time.sleep(0.5)
        after = lab.link.command("stats")
        counts = tuple(after[k] - before[k] for k in ("of_source", "stack_frames_of_source"))
        received = port(treatment.status(lab), "lan")["received_packets"] - received
        sent = port(treatment.status(lab))["sent_packets"] - sent
        self.note(arrived=counts[0], by_kernel=counts[1], received=received, sent=sent)
        self.assertGreaterEqual(sent, FRAMES)
        self.assertEqual(unexplained(treatment.status(lab)), {})
        if counts != (FRAMES, 0) or received < FRAMES:  # neighbour discovery comes in too
            raise Unexplained(f"{FRAMES} frames: arrived and by kernel {counts}, received {received}")

    def refused(self, lab: Lab, text: str) -> subprocess.CompletedProcess:
        file = lab.folder / "refused.yaml"
        file.write_text(text.replace("LAN_DEVICE", lab.lan).replace("WAN_DEVICE", lab.wan))
        done = subprocess.run(in_namespace(lab.router, [
            lab.binary("sluiced"), "--policy", str(file), "--web.listen-address", "", "--control-socket",
            str(lab.folder / "refused.sock"), "--state-dir", "", "--pin-path", str(lab.pins)]),
            capture_output=True, text=True, timeout=30)
        self.note(exit=done.returncode, says=done.stderr.strip())
        return done


class Mode(XdpCase):
    def test_native(self) -> None:
        treatment = self.treatment("native")
        with self.lab(treatment) as lab:
            self.assertEqual(self.attached(lab, treatment), "native")
            self.forwards(lab, treatment)

    def test_generic_stays_until_unload(self) -> None:
        """A reload or a start with `native` is refused and changes nothing; `auto` takes the mode as it is."""
        treatment = self.treatment("generic")
        with self.lab(treatment) as lab:
            self.assertEqual(self.attached(lab, treatment), "generic")
            self.assertEqual(port(treatment.status(lab), "lan")["degraded"], "")
            self.forwards(lab, treatment)
            text = treatment.running_policy.read_text()
            for mode, code in (("native", False), ("auto", True)):
                treatment.running_policy.write_text(text.replace("generic", mode))
                done = sluicectl(lab, treatment, "reload")
                self.note(mode=mode, exit=done.returncode, says=done.stderr.strip())
                self.assertEqual(done.returncode == 0, code, done.stderr)
                if not code:
                    self.assertIn("attached in generic mode, the policy wants native", done.stderr)
                    self.assertIn("sluicectl unload", done.stderr)
                self.assertEqual(self.attached(lab, treatment, DEGRADED if code else 0), "generic")
            self.assertRegex(port(self.status(lab, treatment, DEGRADED), "lan")["degraded"], "generic mode, slow.*native.*sluicectl unload")
            treatment.process.stop()
            started = self.refused(lab, policy("native"))
            self.assertEqual(started.returncode, BUSY, started.stderr)
            self.assertIn("attached in generic mode, the policy wants native", started.stderr)
            self.assertIn("xdpgeneric", run(["ip", "-o", "link", "show", lab.lan], lab.router))
            run([lab.binary("sluicectl"), "unload", "--pin-path", str(lab.pins)], lab.router)
            treatment.start(lab, text.replace("generic", "native"))
            self.assertEqual(self.attached(lab, treatment), "native")
            self.forwards(lab, treatment)

    def test_generic_without_a_rate_says_that_nothing_tells_the_drain(self) -> None:
        self.file.write_text(policy("generic").replace(", rate: 50mbit", ""))
        treatment = sluice(policy_file=self.file)
        with self.lab(treatment) as lab:
            self.assertRegex(port(self.status(lab, treatment, DEGRADED))["degraded"], r"by generic XDP.*give the port a rate")
            text = treatment.running_policy.read_text()
            treatment.running_policy.write_text(text.replace(f"device: {lab.wan}", f"device: {lab.wan}, rate: 50mbit"))
            self.assertEqual(sluicectl(lab, treatment, "reload").returncode, 0)
            self.assertEqual(treatment.status(lab)["health"], "ok")
            self.forwards(lab, treatment)

    def test_native_where_the_driver_has_none(self) -> None:
        with self.lab(self.treatment("auto")) as lab:
            ip_batch(lab.router, ["link add nothing type bridge", "link set nothing up"])
            pins = lab.pins
            lab.pins = pins.with_name(pins.name + "-refused")
            try:
                done = self.refused(lab, policy("native", "nothing"))
            finally:
                lab.pins = pins
            self.assertEqual(done.returncode, FAILED, done.stderr)
            self.assertIn("attach XDP to nothing in native mode", done.stderr)
            self.assertIn("`xdp: auto`", done.stderr)
            self.assertNotIn("xdp", run(["ip", "-o", "link", "show", "nothing"], lab.router))


class TcIngress(XdpCase):
    """Where XDP is somebody else's or impossible, the same steps run on skbs."""

    def setUp(self) -> None:
        if KERNEL < (6, 6):
            self.skipTest("tc ingress needs Linux 6.6 (tcx)")
        super().setUp()

    def attached(self, lab: Lab, treatment: Sluice, code: int = 0) -> str:
        """By our own status, and by the program that is pinned."""
        mode = port(self.status(lab, treatment, code), "lan")["xdp_mode"]
        program = next(lab.pins.glob("v*/[0-9]*/programs/ingress_*"))
        name = json.loads(run(["bpftool", "-j", "prog", "show", "pinned", str(program)]))["name"]
        self.assertEqual(name.startswith("sluice_tc_ingre"), mode == "tc", name)
        return mode

    def forwards(self, lab: Lab, treatment: Sluice) -> None:
        """All frames arrive, by the kernel's queue of the slow device; each is counted once as sent."""
        before, received = lab.link.command("stats"), port(treatment.status(lab), "lan")["received_packets"]
        sent = port(treatment.status(lab))["sent_packets"]
        with self.accounted(lab, treatment):
            self.injector(lab).send(FRAMES)
            time.sleep(0.5)
        after = lab.link.command("stats")
        received = port(treatment.status(lab), "lan")["received_packets"] - received
        sent = port(treatment.status(lab))["sent_packets"] - sent
        arrived = after["of_source"] - before["of_source"]
        self.note(arrived=arrived, received=received, sent=sent)
        if arrived != FRAMES or sent != FRAMES or received < FRAMES:
            raise Unexplained(f"{FRAMES} frames: arrived {arrived}, sent {sent}, received {received}")
        self.assertEqual(unexplained(treatment.status(lab)), {})

    def test_it_outlives_the_daemon_and_goes_with_unload(self) -> None:
        treatment = self.treatment("tc")
        with self.lab(treatment) as lab:
            self.assertEqual(self.attached(lab, treatment), "tc")
            self.forwards(lab, treatment)
            treatment.process.kill()
            treatment.start(lab)
            self.assertIn("goes on with", treatment.process.messages())
            self.forwards(lab, treatment)
            text = treatment.running_policy.read_text()
            treatment.running_policy.write_text(text.replace("xdp: tc", "xdp: native"))
            done = sluicectl(lab, treatment, "reload")
            self.assertIn("attached in tc mode, the policy wants native", done.stderr)
            treatment.running_policy.write_text(text.replace("to: wan", "to: wan, forward: xconnect"))
            self.assertEqual(sluicectl(lab, treatment, "reload").returncode, 0)
            self.assertIn("replaced the data path", treatment.process.messages())
            self.assertEqual(self.attached(lab, treatment), "tc")
            ids = bpf_objects(treatment.process.pid)
            treatment.process.stop()
            run([lab.binary("sluicectl"), "unload", "--pin-path", str(lab.pins)], lab.router)
            self.assertEqual(left_of(ids), {})

    def test_auto_takes_it_where_xdp_cannot_be(self) -> None:
        """The kernel allows no XDP program at a member of a bridge that has one."""
        treatment = self.treatment("auto")
        treatment.before = self.bridge_with_xdp
        with self.lab(treatment) as lab:
            self.assertEqual(self.attached(lab, treatment, DEGRADED), "tc")
            self.assertRegex(port(self.status(lab, treatment, DEGRADED), "lan")["degraded"], "tc ingress stands in for XDP at lan0, slow: attach XDP.*`xdp: tc`")
            treatment.running_policy.write_text(treatment.running_policy.read_text().replace("xdp: auto", "xdp: tc"))
            self.assertEqual(sluicectl(lab, treatment, "reload").returncode, 0)
            self.assertEqual(self.attached(lab, treatment), "tc")
            self.forwards(lab, treatment)

    @staticmethod
    def bridge_with_xdp(lab: Lab) -> None:
        ip_batch(lab.router, ["link add upper type bridge", "link set upper up", f"link set {lab.lan} master upper"])
        attach_foreign(lab, "upper")

    def test_beside_a_program_of_somebody_else(self) -> None:
        """Which is what the error without it says."""
        treatment = self.treatment("tc")
        treatment.before = self.foreign_counter
        with self.lab(treatment) as lab:
            self.assertEqual(self.attached(lab, treatment), "tc")
            self.forwards(lab, treatment)
            self.assertIn("xdp", run(["ip", "-o", "link", "show", lab.lan], lab.router))
            pins = lab.pins
            lab.pins = pins.with_name(pins.name + "-refused")
            try:
                refused = self.refused(lab, policy("auto"))
            finally:
                lab.pins = pins
            self.assertEqual(refused.returncode, BUSY, refused.stderr)
            self.assertIn("`xdp: tc`", refused.stderr)

    @staticmethod
    def foreign_counter(lab: Lab) -> None:
        attach_foreign(lab, lab.lan, "frame_counter.bpf.o")

    def test_super_frames_are_policed_and_counted_as_the_frames_they_are(self) -> None:
        """TCP comes as skbs of up to 64 KiB; the queue of the slow device is the kernel's, and stays short."""
        result = self.measure(Scene("tcp", flows=4), self.treatment("tc"))
        self.assertEqual(result["unexplained"], 0)
        self.assertGreater(result["utilisation"], 0.9)
        self.assertGreater(result["jain"], 0.95)
        self.assertLess(result["delay_ms_p99"], 25)

    def test_a_slow_path_counts_what_has_not_been_counted(self) -> None:
        """The tc program in front of the qdisc of `spill` meets frames that were admitted by the one at ingress."""
        self.file.write_text(policy("tc").replace("rate: 50mbit", "rate: 50mbit, spill: {qdisc: pfifo}"))
        treatment = sluice(policy_file=self.file)
        with self.lab(treatment) as lab:
            before = port(treatment.status(lab))["slow_packets"]
            self.forwards(lab, treatment)
            self.assertLess(port(treatment.status(lab))["slow_packets"] - before, FRAMES / 10)


class TagsAtTcIngress(ThreeHosts):
    """The stack takes the outermost VLAN tag out before tc: it counts for classes, and is there again at the other end."""

    POLICY = """version: 1
ports:
  lan: {device: lan0, xdp: tc}
  wan: {device: wan0, rate: 200mbit}
transitions:
  - {from: lan, to: wan, forward: xconnect, classes: [{name: seven, match: [{vlan: 7}]}, {name: default}]}
"""
    FRAMES = 20

    def test_a_wire_carries_tags(self) -> None:
        if KERNEL < (6, 6):
            self.skipTest("tc ingress needs Linux 6.6 (tcx)")
        self.start(self.POLICY)
        with inside(self.sink):
            sink = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.addCleanup(sink.close)
        sink.bind(("dst0", 0))
        sink.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        sink.settimeout(2)
        self.send(self.FRAMES)
        tags = [self.tag(sink) for _ in range(self.FRAMES)]
        self.assertEqual(tags, [TAG] * self.FRAMES)
        classes = {c["name"]: c["admitted_packets"] for c in self.wan()["classes"]}
        print(f"    {self._testMethodName}: {classes}", flush=True)
        self.assertEqual(classes["seven"], self.FRAMES)

    def send(self, frames: int) -> None:
        with inside(self.source):
            source = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self.addCleanup(source.close)
        source.bind(("src0", 0))
        for _ in range(frames):
            source.send(b"\x02" * 12 + struct.pack("!HH", 0x8100, TAG) + MARK + b"\0" * 46)

    @staticmethod
    def tag(sink: socket.socket) -> int:
        """Of the next frame that is one of ours."""
        while True:
            data, aux, _, address = sink.recvmsg(2048, 256)
            if MARK not in data or address[2] == socket.PACKET_OUTGOING:
                continue
            status, _, _, _, _, tci = struct.unpack_from("IIIHHH", aux[0][2])
            return tci if status & TP_STATUS_VLAN_VALID else -1
