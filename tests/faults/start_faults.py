"""Rows 16, 21, 24 and 42: what keeps the daemon from starting. It says what and why, and changes nothing."""
from __future__ import annotations

import socket
import subprocess

from lab import Lab
from lab_case import LabCase, probe, sluice
from netns import in_namespace, inside, run
from treatments import Raw, Sluice


class Kernel:
    """The kernel forwards by itself."""

    name = "nothing"

    def start(self, lab: Lab) -> None:
        pass


def start_and_fail(lab: Lab, treatment: Sluice, *before: str, listen: str = "") -> subprocess.CompletedProcess:
    """A daemon that is expected to give up, behind the words `before`."""
    policy = lab.folder / "second.yaml"
    policy.write_text(treatment.policy_text(lab))
    argv = [*before, lab.binary("sluiced"), "--policy", str(policy), "--web.listen-address", listen, "--control-socket",
            str(lab.folder / "second.sock"), "--state-dir", str(lab.folder / "second-state"), "--pin-path", str(lab.pins)]
    return subprocess.run(in_namespace(lab.router, argv), capture_output=True, text=True, timeout=20)


def devices(lab: Lab) -> str:
    return run(["ip", "-d", "-o", "link"], lab.router)


class Start(LabCase):
    def refused(self, lab: Lab, done: subprocess.CompletedProcess, *words: str) -> None:
        last = (done.stderr.strip().splitlines() or [""])[-1]
        self.note(exit=done.returncode, says=last[:200])
        self.assertGreater(done.returncode, 0)
        for word in words:
            self.assertIn(word, done.stderr)
        self.assertFalse((lab.folder / "second.sock").exists())

    def test_missing_capabilities(self) -> None:
        with self.lab(Kernel()) as lab:
            before = devices(lab)
            for capability in ("net_admin", "bpf", "perfmon"):  # CAP_SYS_ADMIN stands for each of them
                done = start_and_fail(lab, sluice(), "setpriv", f"--bounding-set=-{capability},-sys_admin")
                self.refused(lab, done, f"CAP_{capability.upper()}")
            self.assertEqual(devices(lab), before)
            self.assertEqual(probe(lab, 0.5)["lost"], 0)

    def test_metrics_port_taken(self) -> None:
        with self.lab(Kernel()) as lab:
            before = devices(lab)
            with inside(lab.router):
                taken = socket.create_server(("127.0.0.1", 0))
            address = "127.0.0.1:%d" % taken.getsockname()[1]
            done = start_and_fail(lab, sluice(), listen=address)
            taken.close()
            self.refused(lab, done, address, "in use")
            self.assertEqual(devices(lab), before)

    def test_another_xdp_program(self) -> None:
        """Not replaced, and the message names the device; its packets flow on."""
        with self.lab(Raw()) as lab:
            before = devices(lab)
            self.refused(lab, start_and_fail(lab, sluice()), lab.lan)
            self.assertEqual(devices(lab), before)
            self.assertEqual(probe(lab, 0.5)["lost"], 0)

    def test_two_daemons(self) -> None:
        treatment = sluice()
        with self.lab(treatment) as lab:
            before = devices(lab)
            self.refused(lab, start_and_fail(lab, sluice()))
            self.assertEqual(devices(lab), before)
            self.assertEqual(probe(lab, 0.5)["lost"], 0)
            self.assertEqual(treatment.status(lab)["reloads_failed"], 0)
