"""The world moves under a running daemon: links go down, vanish, come back, change names and abilities."""
from __future__ import annotations

import os
import time
import unittest
from pathlib import Path

from netns import ip_batch, run
from three_hosts import PATIENCE_S, POLICY, ThreeHosts


class World(ThreeHosts):
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

    def make_lte(self, next_hop: str) -> str:
        """A second uplink that takes what the first refuses; the policy for it."""
        ip_batch(self.router, [f"link add lte0 type veth peer name dst1 netns {self.sink}", "addr add 10.88.3.1/24 dev lte0",
                               "addr add fd88:3::1/64 dev lte0 nodad", "link set lte0 up"])
        run(["ethtool", "-K", "dst1", "gro", "on"], self.sink)
        ip_batch(self.sink, ["addr add 10.88.3.2/24 dev dst1", "addr add fd88:3::2/64 dev dst1 nodad", "link set dst1 up"])
        return POLICY.replace("transitions:", f"  lte: {{device: lte0, rate: 20mbit{next_hop}}}\ntransitions:").replace(
            "to: wan}", "to: wan, overflow: [lte]}\n  - {from: lan, to: lte}")

    def test_the_router_of_a_default_route_is_known_before_a_frame_needs_it(self) -> None:
        """The policy names none; the default routes by the uplink are not the best ones, and nobody uses them."""
        policy = self.make_lte("")
        ip_batch(self.router, ["route add default via 10.88.2.2 dev wan0", "route add default via 10.88.3.2 dev lte0 metric 900",
                               "route add default via fd88:3::2 dev lte0 metric 900"])
        self.start(policy)
        for router in ("10.88.3.2", "fd88:3::2"):
            self.until_known(router)
        ip_batch(self.router, ["neigh flush dev lte0", "link set lte0 txqueuelen 999"])
        for router in ("10.88.3.2", "fd88:3::2"):
            self.until_known(router)

    def test_the_next_hop_is_known_before_a_frame_needs_it(self) -> None:
        """Nobody speaks to that router, and XDP cannot ask for it."""
        self.start(self.make_lte(", next_hop: 10.88.3.2"))
        self.until_known("10.88.3.2")
        run(["ip", "neigh", "flush", "dev", "lte0"], self.router)
        self.until_known("10.88.3.2")
        run(["ip", "neigh", "replace", "10.88.3.2", "lladdr", "02:00:00:00:00:07", "dev", "lte0", "nud", "permanent"], self.router)
        ip_batch(self.router, ["link set lte0 txqueuelen 999", "link set wan0 down", "link set wan0 up"])  # look again
        time.sleep(6)  # and by itself
        self.assertIn("02:00:00:00:00:07 PERMANENT", run(["ip", "neigh", "show", "10.88.3.2"], self.router))

    def until_known(self, address: str) -> None:
        end = time.monotonic() + PATIENCE_S
        while "REACHABLE" not in (found := run(["ip", "neigh", "show", address], self.router)):
            self.assertLess(time.monotonic(), end, f"neighbour {address}: '{found.strip()}'")
            time.sleep(0.1)

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
