"""How a policy comes into force and goes: whole, on trial, watched, from disk."""
from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import threading
import time
from collections import Counter

from control_client import ControlClient
from lab import SINK_IP, Lab
from lab_case import LabCase, counters, once_more_when_noisy, port, sluice
from netns import in_namespace, inside
from treatments import Sluice

SWAPS = 600
MARKED, OTHER = 7001, 7002  # UDP ports
# Under ONE a packet to MARKED gets the first DSCP, under TWO the second. The match of one policy with the remark of the
# other would give another.
ONE = ("af11", "af12", MARKED)
TWO = ("af13", "af21", OTHER)
WHOLE = {10: "ONE", 18: "TWO"}  # af11, af21
OK, FAILED, INVALID, DEGRADED = 0, 1, 3, 4


def sluicectl(lab: Lab, treatment: Sluice, *words: str) -> subprocess.CompletedProcess:
    argv = [lab.binary("sluicectl"), "--control-socket", str(treatment.control), *words]
    return subprocess.run(in_namespace(lab.router, argv), capture_output=True, text=True, timeout=10)


def marker_policy(text: str, version: tuple[str, str, int]) -> str:
    match, rest, dport = version
    return text + (f"    classes:\n"
                   f"      - {{name: marked, match: [{{proto: udp, dport: {dport}}}], remark: {match}}}\n"
                   f"      - {{name: default, remark: {rest}}}\n")


class Receiver(threading.Thread):
    """Counts datagrams to MARKED by their DSCP; also those that the socket itself had to drop."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(daemon=True)
        self.by_dscp: Counter[int] = Counter()
        self._stop_reading = threading.Event()
        with inside(lab.sink):
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE
        self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
        self._socket.settimeout(0.2)
        self._socket.bind((SINK_IP, MARKED))

    def run(self) -> None:
        while not self._stop_reading.is_set():
            try:
                _, ancillary, _, _ = self._socket.recvmsg(64, 64)
            except TimeoutError:
                continue
            self.by_dscp[ancillary[0][2][0] >> 2] += 1

    def finish(self) -> None:
        self._stop_reading.set()
        self.join()
        self._socket.close()


class Sender(threading.Thread):
    """2,000 small datagrams a second to MARKED, until told to stop."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(daemon=True)
        self.sent = 0
        self._stop_sending = threading.Event()
        with inside(lab.source):
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect((SINK_IP, MARKED))

    def run(self) -> None:
        while not self._stop_sending.is_set():
            for _ in range(8):
                self._socket.send(struct.pack("<I", self.sent))
                self.sent += 1
            time.sleep(0.004)

    def finish(self) -> None:
        self._stop_sending.set()
        self.join()
        self._socket.close()


class Swap(LabCase):
    @once_more_when_noisy
    def test_no_packet_is_lost_or_sees_half_a_policy(self) -> None:
        treatment = sluice("50mbit")
        with self.lab(treatment) as lab:
            base = treatment.policy_text(lab)
            texts = [marker_policy(base, version) for version in (ONE, TWO)]
            control = ControlClient(treatment.control)
            self.assertEqual(control.apply(texts[0])[0], 200)
            receiver, sender = Receiver(lab), Sender(lab)
            receiver.start()
            with self.accounted(lab, treatment):
                sender.start()
                fallen, took_s = self.swap(control, texts)
                sender.finish()
            receiver.finish()
            status = control.get("/api/v1/status")[1]
            control.close()
            outcomes = [row for cls in port(status)["classes"] for row in cls["outcomes"] if row["packets"]]
            self.note(swaps=SWAPS, seconds=took_s, sent=sender.sent, received=sum(receiver.by_dscp.values()),
                      by_dscp=dict(receiver.by_dscp), fallen=fallen)
            self.assertEqual(set(receiver.by_dscp), set(WHOLE), "a packet saw half of each policy")
            self.assertEqual(sum(receiver.by_dscp.values()), sender.sent, outcomes)
            self.assertGreater(min(receiver.by_dscp.values()), sender.sent / 5, "both policies decided")
            self.assertEqual(fallen, {})
            self.assertEqual(status["policy_generation"], SWAPS + 2)
            self.assertEqual(status["reloads_ok"], SWAPS + 1)

    @staticmethod
    def swap(control: ControlClient, texts: list[str]) -> tuple[dict, float]:
        """Swaps to and fro; returns counters that ever went down, and the time that it took."""
        fallen, seen = {}, {}
        begin = time.monotonic()
        for i in range(1, SWAPS + 1):
            status, answer = control.apply(texts[i % 2])
            assert status == 200, answer
            if i % 50 == 0:
                now = counters(control.get("/api/v1/status")[1])
                fallen |= {path: (before, now.get(path)) for path, before in seen.items() if now.get(path, -1) < before}
                seen = now
        return fallen, time.monotonic() - begin


class Trial(LabCase):
    def rate(self, lab: Lab, treatment: Sluice) -> int:
        return round(port(treatment.status(lab))["policy_rate_bytes_per_s"] * 8 / 1e6)

    def test_comes_back_unless_confirmed(self) -> None:
        treatment = sluice("50mbit")
        with self.lab(treatment) as lab:
            new = lab.folder / "new.yaml"
            new.write_text(treatment.policy_text(lab).replace("50mbit", "20mbit"))
            plan = sluicectl(lab, treatment, "plan", str(new))
            self.assertIn("port wan: rate 50mbit -> 20mbit\nswap in place", plan.stdout)

            applied = sluicectl(lab, treatment, "apply", str(new), "--confirm-within", "1500ms")
            self.assertEqual(applied.returncode, OK, applied.stderr)
            self.assertEqual(self.rate(lab, treatment), 20)
            self.assertEqual(sluicectl(lab, treatment, "reload").returncode, DEGRADED, "not during a trial")
            time.sleep(2.5)
            self.assertEqual(self.rate(lab, treatment), 50)
            self.assertEqual(treatment.status(lab)["rollbacks_unconfirmed"], 1)
            self.assertIn("nobody confirmed", treatment.process.messages())
            self.assertEqual(sluicectl(lab, treatment, "confirm").returncode, FAILED, "nothing is on trial")

            sluicectl(lab, treatment, "apply", str(new), "--confirm-within", "1500ms")
            self.assertEqual(sluicectl(lab, treatment, "confirm").returncode, OK)
            time.sleep(2.5)
            self.assertEqual(self.rate(lab, treatment), 20)
            self.assertIn("no difference", sluicectl(lab, treatment, "plan", str(new)).stdout)
            self.assertIn("port wan: rate 20mbit -> 50mbit", sluicectl(lab, treatment, "plan").stdout)
            self.assertEqual(sluicectl(lab, treatment, "rollback").returncode, OK)
            self.assertEqual(self.rate(lab, treatment), 50)

            new.write_text("version: 1\n")
            for words in (["apply", str(new)], ["plan", str(new)]):
                bad = sluicectl(lab, treatment, *words, "-o", "json")
                self.assertEqual(bad.returncode, INVALID)
                self.assertEqual(json.loads(bad.stdout)[0]["severity"], "error")
            self.assertEqual(self.rate(lab, treatment), 50)


class Boot(LabCase):
    @staticmethod
    def run_daemon(lab: Lab, treatment: Sluice) -> subprocess.CompletedProcess:
        """One that is expected to end by itself."""
        return subprocess.run(in_namespace(lab.router, [
            lab.binary("sluiced"), "--policy", str(treatment.running_policy), "--web.listen-address", "",
            "--control-socket", str(treatment.control), "--state-dir", str(lab.folder / "state"), "--pin-path",
            str(lab.pins)]),
            capture_output=True, text=True, timeout=10)

    def test_second_daemon_is_busy(self) -> None:
        treatment = sluice("50mbit")
        with self.lab(treatment) as lab:
            second = self.run_daemon(lab, treatment)
            self.note(says=second.stderr.strip().splitlines()[-1])
            self.assertEqual(second.returncode, DEGRADED)
            self.assertEqual(sluicectl(lab, treatment, "status").returncode, OK, "the first goes on")

    def test_last_good_policy_when_the_file_is_bad(self) -> None:
        treatment = sluice("50mbit")
        with self.lab(treatment) as lab:
            treatment.stop(lab)
            self.assertIn("rate: 50mbit", (lab.folder / "state/last-good.yaml").read_text())
            bad = "version: 1\nports: {lan: {device: lan0}\n"
            treatment.start(lab, bad)
            status = sluicectl(lab, treatment, "status", "-o", "json")
            shown = json.loads(status.stdout)
            self.note(health=shown["health"])
            self.assertEqual(status.returncode, DEGRADED)
            self.assertEqual(shown["policy_source"], "last_good")
            self.assertIn(f"{treatment.running_policy} is missing or bad", shown["health"])
            self.assertEqual(port(shown)["policy_rate_bytes_per_s"], 50e6 / 8)
            self.assertIn("last good policy is in force", treatment.process.messages())
            self.assertIn(f"{treatment.running_policy}:", treatment.process.messages(), "where the file is bad")
            self.assertEqual(sluicectl(lab, treatment, "reload").returncode, INVALID)

            treatment.running_policy.write_text(treatment.policy_text(lab))
            self.assertEqual(sluicectl(lab, treatment, "reload").returncode, OK)
            self.assertEqual(sluicectl(lab, treatment, "status").returncode, OK)
            treatment.stop(lab)

            (lab.folder / "state/last-good.yaml").unlink()
            treatment.running_policy.write_text(bad)
            daemon = self.run_daemon(lab, treatment)
            self.assertEqual(daemon.returncode, INVALID, daemon.stderr)

    def test_watched_file(self) -> None:
        """As kubelet swaps a ConfigMap, and a bad file in between."""
        treatment = sluice("50mbit", options=["--watch"])
        with self.lab(treatment) as lab:
            good = treatment.policy_text(lab)

            def swap(name: str, text: str) -> None:
                (lab.folder / name).mkdir()
                (lab.folder / name / "policy.yaml").write_text(text)
                os.symlink(name, lab.folder / "..tmp")
                os.rename(lab.folder / "..tmp", lab.folder / "..data")

            def becomes(key: str, wanted: object) -> None:
                end = time.monotonic() + 5
                while (seen := {**port(treatment.status(lab)), **treatment.status(lab)}[key]) != wanted:
                    self.assertLess(time.monotonic(), end, f"{key}: {seen}, not {wanted}")
                    time.sleep(0.05)

            swap("..1", good.replace("50mbit", "40mbit"))
            os.symlink("..data/policy.yaml", lab.folder / "link")
            os.rename(lab.folder / "link", treatment.running_policy)
            becomes("policy_rate_bytes_per_s", 40e6 / 8)
            swap("..2", "nonsense")
            becomes("reloads_invalid", 1)
            swap("..3", good.replace("50mbit", "30mbit"))
            becomes("policy_rate_bytes_per_s", 30e6 / 8)
            becomes("reloads_ok", 2)
