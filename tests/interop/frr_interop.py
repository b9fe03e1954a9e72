"""Routes managed by FRR: zebra and staticd in the router's namespace change them under load, and sluice follows at once."""
from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from lab import SINK_IP, Lab
from lab_case import LabCase, port, sluice
from netns import Process, in_namespace, ip_batch, run
from treatments import Sluice

FRR = Path("/usr/lib/frr")
PREFIX, TARGET = "10.99.0.0/24", "10.99.0.1"  # behind the sink


class Frr:
    """zebra and staticd of the router's namespace, with a state folder of their own."""

    def __init__(self, lab: Lab) -> None:
        self.lab, self.folder = lab, Path(tempfile.mkdtemp(prefix="sluice-frr-"))
        (self.folder / "vtysh.conf").write_text("")
        self.daemons: list[Process] = []
        for name in ("zebra", "staticd"):
            (self.folder / f"{name}.conf").write_text("")
            shutil.chown(self.folder, "frr", "frr")  # they insist on their own user
            self.daemons.append(lab.spawn(name, lab.router, [
                str(FRR / name), "-A", "127.0.0.1", "-f", str(self.folder / f"{name}.conf"),
                "-i", str(self.folder / f"{name}.pid"), "-z", str(self.folder / "zserv.api"), "--vty_socket",
                str(self.folder), "--log", "stdout", "-P", "0"]))
            self.wait(lambda: (self.folder / f"{name}.vty").exists(), f"{name} listens")

    @staticmethod
    def wait(condition, what: str, patience_s: float = 10) -> None:
        end = time.monotonic() + patience_s
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"never came true: {what}")
            time.sleep(0.05)

    def configure(self, line: str) -> None:
        argv = ["vtysh", "--vty_socket", str(self.folder), "--config_dir", str(self.folder), "-c", "configure terminal",
                "-c", line]
        done = subprocess.run(in_namespace(self.lab.router, argv), capture_output=True, text=True, timeout=10)
        if done.returncode != 0 or "%" in done.stdout:
            raise AssertionError(f"vtysh: {line}: {done.stdout}{done.stderr}")

    def routes(self) -> str:
        return run(["ip", "route", "show", PREFIX], self.lab.router).strip()

    def route(self, line: str, kernel: str) -> None:
        """Changes the configuration, and waits until zebra has told the kernel."""
        self.configure(line)
        self.wait(lambda: (kernel in self.routes()) if kernel else not self.routes(), f"the kernel's route after {line}")


class Routes(LabCase):
    def sent_to_target(self, lab: Lab) -> tuple[int, int]:
        """Pings of the source that were answered from behind the sink, of ten."""
        done = subprocess.run(in_namespace(lab.source, ["ping", "-q", "-n", "-c", "10", "-i", "0.05", "-W", "1", TARGET]),
                              capture_output=True, text=True, timeout=30)
        received = int(done.stdout.split(" received")[0].split()[-1]) if " received" in done.stdout else 0
        return 10, received

    def decided(self, treatment: Sluice, lab: Lab) -> tuple[int, int]:
        """Frames that sluice sent on, and those it gave to the kernel."""
        status = treatment.status(lab)
        return port(status)["sent_packets"], sum(row["packets"] for row in port(status, "lan")["passed"])

    def ping(self, treatment: Sluice, lab: Lab, what: str) -> tuple[int, int, int]:
        before = self.decided(treatment, lab)
        _, answered = self.sent_to_target(lab)
        after = self.decided(treatment, lab)
        found = (answered, after[0] - before[0], after[1] - before[1])
        self.note(route=what, answered=found[0], by_sluice=found[1], by_kernel=found[2])
        return found

    def test_zebra_changes_a_route_under_load(self) -> None:
        treatment = sluice()
        with self.lab(treatment) as lab:
            ip_batch(lab.sink, [f"addr add {TARGET}/32 dev lo"])
            frr = Frr(lab)
            self.addCleanup(shutil.rmtree, frr.folder)
            frr.route(f"ip route {PREFIX} {SINK_IP}", f"via {SINK_IP}")
            self.assertIn("proto static", frr.routes())
            answered, by_sluice, by_kernel = self.ping(treatment, lab, "via sink")
            self.assertEqual((answered, by_kernel), (10, 0))
            self.assertGreaterEqual(by_sluice, 10)

            frr.route(f"no ip route {PREFIX} {SINK_IP}", "")
            answered, _, by_kernel = self.ping(treatment, lab, "withdrawn")
            self.assertEqual(answered, 0)
            self.assertGreaterEqual(by_kernel, 10)

            frr.route(f"ip route {PREFIX} blackhole", "blackhole")
            answered, _, by_kernel = self.ping(treatment, lab, "blackhole")
            self.assertEqual(answered, 0)
            self.assertGreaterEqual(by_kernel, 10)

            frr.route(f"no ip route {PREFIX} blackhole", "")
            with self.accounted(lab, treatment):  # flaps every 50 ms while a flood runs over the connected route
                flooding = lab.spawn("flood", lab.source, [
                    lab.binary("udp_probe"), "flood", "--to", SINK_IP, "--port", "9", "--rate", "30mbit", "--frame", "1242",
                    "--seconds", "4"])
                for _ in range(12):
                    frr.configure(f"ip route {PREFIX} {SINK_IP}")
                    time.sleep(0.05)
                    frr.configure(f"no ip route {PREFIX} {SINK_IP}")
                    time.sleep(0.05)
                frr.route(f"ip route {PREFIX} {SINK_IP}", f"via {SINK_IP}")
                Frr.wait(lambda: not flooding.alive(), "the flood ends", 15)
            answered, by_sluice, _ = self.ping(treatment, lab, "via sink again")
            self.assertEqual(answered, 10)
            self.assertGreaterEqual(by_sluice, 10)
            self.assertEqual(treatment.status(lab)["health"], "ok")
            for daemon in frr.daemons:
                self.assertTrue(daemon.alive(), daemon.messages())
