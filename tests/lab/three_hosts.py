"""Three hosts in namespaces and the daemon on the middle one, without the link emulator."""
from __future__ import annotations

import re
import secrets
import shutil
import tempfile
import time
import unittest
from pathlib import Path

from control_client import ControlClient
from lab import SYSCTLS, find_binary
from lab_case import BIN_DIR
from netns import Process, enter_private_mounts, ip_batch, run

WITHIN_S = 1.0  # promised; the machine gets more
PATIENCE_S = 10.0
POLICY = """version: 1
ports:
  lan: {device: lan0}
  wan: {device: wan0, rate: 200mbit}
transitions:
  - {from: lan, to: wan}
"""


class ThreeHosts(unittest.TestCase):
    """source - router - sink, all by veth: devices that can be made again under the same names."""

    def setUp(self) -> None:
        enter_private_mounts()
        mark = secrets.token_hex(3)
        self.source, self.router, self.sink = (f"{role}-{mark}" for role in ("source", "router", "sink"))
        self.folder = Path(tempfile.mkdtemp(prefix="sluice-world-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        for space in (self.source, self.router, self.sink):
            run(["ip", "netns", "add", space])
            self.addCleanup(run, ["ip", "netns", "del", space])
            run(["sysctl", "-q", "-w", *SYSCTLS], space)
        run(["sysctl", "-q", "-w", "net.ipv4.ip_forward=1", "net.ipv4.conf.all.rp_filter=0"], self.router)
        self.make_lan()
        self.make_wan()

    def make_lan(self) -> None:
        ip_batch(self.router, [f"link add lan0 type veth peer name src0 netns {self.source}",
                               "addr add 10.88.1.1/24 dev lan0", "link set lan0 up"])
        ip_batch(self.source, ["addr add 10.88.1.2/24 dev src0", "link set src0 up", "link set lo up",
                               "route add default via 10.88.1.1"])

    def make_wan(self, gro: str = "on") -> None:
        ip_batch(self.router, [f"link add wan0 type veth peer name dst0 netns {self.sink}"])
        self.gro(gro)
        ip_batch(self.sink, ["addr add 10.88.2.2/24 dev dst0", "link set dst0 up",
                             "route add default via 10.88.2.1"])
        ip_batch(self.router, ["addr add 10.88.2.1/24 dev wan0", "link set wan0 up"])

    def gro(self, word: str) -> None:
        run(["ethtool", "-K", "dst0", "gro", word], self.sink)

    def start(self, text: str = POLICY, options: list[str] = []) -> None:
        policy, self.control = self.folder / "policy.yaml", self.folder / "sluice.sock"
        policy.write_text(text)
        self.daemon = Process("sluiced", self.router, [
            find_binary(BIN_DIR, "sluiced"), "--policy", str(policy), "--web.listen-address", "",
            "--control-socket", str(self.control), "--pin-path", f"/sys/fs/bpf/{self.router}", *options], self.folder)
        self.addCleanup(self.daemon.kill)
        self.daemon.wait_ready(30)

    def status(self) -> dict:
        client = ControlClient(self.control)
        try:
            return client.get("/api/v1/status")[1]
        finally:
            client.close()

    def wan(self) -> dict:
        return next(p for p in self.status()["ports"] if p["name"] == "wan")

    def until_health(self, pattern: str) -> None:
        """Waits until health says so; prints how long it took."""
        begin = time.monotonic()
        while not re.search(pattern, health := self.status()["health"]):
            if time.monotonic() > begin + PATIENCE_S:
                self.fail(f"health is '{health}', not '{pattern}': {self.daemon.messages()[-2000:]}")
            time.sleep(0.02)
        print(f"    {self._testMethodName}: '{pattern}' after {time.monotonic() - begin:.2f} s "
              f"(promised {WITHIN_S:g} s)", flush=True)

    def ping(self, count: int = 20) -> tuple[int, int]:
        """Answers, and frames that were redirected meanwhile."""
        before = self.wan()["sent_packets"]
        text = run(["sh", "-c", f"ping -q -n -i 0.02 -W 2 -c {count} 10.88.2.2 || true"], self.source)
        return int(re.search(r"(\d+) received", text)[1]), self.wan()["sent_packets"] - before
