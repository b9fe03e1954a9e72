"""The world moves under a running daemon: links go down, vanish, come back, change names and abilities."""
from __future__ import annotations

import os
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


class World(unittest.TestCase):
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

    def start(self, text: str = POLICY) -> None:
        policy, self.control = self.folder / "policy.yaml", self.folder / "sluice.sock"
        policy.write_text(text)
        self.daemon = Process("sluiced", self.router, [
            find_binary(BIN_DIR, "sluiced"), "--policy", str(policy), "--web.listen-address", "",
            "--control-socket", str(self.control), "--pin-path", f"/sys/fs/bpf/{self.router}"], self.folder)
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

    def assert_redirected(self) -> None:
        self.ping(2)  # neighbours
        answers, sent = self.ping()
        self.assertEqual(answers, 20)
        self.assertGreaterEqual(sent, 20)

    def assert_by_the_kernel(self) -> None:
        self.ping(2)
        answers, sent = self.ping()
        self.assertEqual((answers, sent), (20, 0))

    def test_a_peer_without_gro_loses_nothing_in_silence(self) -> None:
        self.gro("off")
        self.start()
        self.until_health(r"wan0 takes no redirected frames.*gro on")
        self.assert_by_the_kernel()
        self.gro("on")
        self.until_health("^ok$")
        self.assert_redirected()
        self.gro("off")
        self.until_health(r"wan0 takes no redirected frames")
        self.assert_by_the_kernel()

    def test_link_down_and_up(self) -> None:
        self.start()
        self.assert_redirected()
        ip_batch(self.router, ["link set wan0 down"])
        self.until_health(r"wan0 is down.*ip link set wan0 up")
        ip_batch(self.router, ["link set wan0 up"])
        self.until_health("^ok$")
        ip_batch(self.sink, ["route replace default via 10.88.2.1"])
        self.assert_redirected()
        ip_batch(self.sink, ["link set dst0 down"])
        self.until_health(r"wan0 has no carrier")

    def test_the_slow_device_is_made_again(self) -> None:
        self.start()
        self.assert_redirected()
        first = self.wan()["ifindex"]
        ip_batch(self.router, ["link del wan0"])
        self.until_health(r"device wan0 is missing")
        self.make_wan()
        self.until_health("^ok$")
        self.assertNotEqual(self.wan()["ifindex"], first)
        self.assert_redirected()

    def test_the_slow_path_comes_back_with_its_device(self) -> None:
        self.start(POLICY.replace("200mbit", "200mbit, spill: {qdisc: pfifo}").replace(
            "to: wan", "to: wan, classes: [{name: default, when_full: [spill, drop]}]"))
        self.assertIn("qdisc tbf 5107:", run(["tc", "qdisc", "show", "dev", "wan0"], self.router))
        ip_batch(self.router, ["link del wan0"])
        self.until_health(r"device wan0 is missing")
        self.make_wan()
        self.until_health("^ok$")
        self.assertIn("qdisc tbf 5107:", run(["tc", "qdisc", "show", "dev", "wan0"], self.router))
        self.assertNotIn("pfifo_fast", run(["tc", "qdisc", "show", "dev", "wan0"], self.router))
        self.assert_redirected()

    def test_the_fast_device_is_made_again(self) -> None:
        self.start()
        self.assert_redirected()
        ip_batch(self.router, ["link del lan0"])
        self.until_health(r"device lan0 is missing")
        self.make_lan()
        self.until_health("^ok$")
        self.assertIn("prog/xdp", run(["ip", "-d", "link", "show", "lan0"], self.router))
        self.assert_redirected()

    def test_a_device_that_is_not_there_at_start(self) -> None:
        ip_batch(self.router, ["link del wan0"])
        self.start()
        self.until_health(r"device wan0 is missing")
        self.make_wan()
        self.until_health(r"^(ok|degraded: (?!.*missing).*)$")
        self.assert_redirected()

    def test_a_new_name_is_followed(self) -> None:
        self.start()
        ip_batch(self.router, ["link set wan0 down", "link set wan0 name dsl0", "link set dsl0 up"])
        self.until_health(r"wan0 is now called dsl0")
        ip_batch(self.sink, ["route replace default via 10.88.2.1"])
        self.assert_redirected()

    def test_another_namespace_is_as_good_as_gone(self) -> None:
        self.start()
        ip_batch(self.router, [f"link set wan0 netns {self.sink}"])
        self.until_health(r"device wan0 is missing")
        ip_batch(self.sink, [f"link set wan0 netns {self.router}"])
        ip_batch(self.router, ["addr add 10.88.2.1/24 dev wan0", "link set wan0 up"])
        self.until_health("^ok$")
        self.assert_redirected()

    def test_a_hundred_flaps_leak_nothing(self) -> None:
        self.start()
        self.until_health("^ok$")
        descriptors = Path(f"/proc/{self.daemon.pid}/fd")
        before = len(os.listdir(descriptors))
        begin = time.monotonic()
        for _ in range(100):
            ip_batch(self.router, ["link set wan0 down", "link set wan0 up"])
        took = time.monotonic() - begin
        self.until_health("^ok$")
        time.sleep(0.5)
        print(f"    {self._testMethodName}: 100 flaps in {took:.1f} s, descriptors {before} before, "
              f"{len(os.listdir(descriptors))} after", flush=True)
        self.assertLessEqual(len(os.listdir(descriptors)), before)
        self.assertTrue(self.daemon.alive())
        ip_batch(self.sink, ["route replace default via 10.88.2.1"])
        self.assert_redirected()


if __name__ == "__main__":
    unittest.main()
