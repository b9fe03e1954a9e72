"""`sluicectl features` on interfaces of every kind that can be made here, without a daemon."""
from __future__ import annotations

import json
import secrets
import subprocess
import unittest

from lab import find_binary
from lab_case import BIN_DIR
from netns import enter_private_mounts, in_namespace, ip_batch, run


class Features(unittest.TestCase):
    def setUp(self) -> None:
        enter_private_mounts()
        self.space = f"features-{secrets.token_hex(3)}"
        run(["ip", "netns", "add", self.space])
        self.addCleanup(run, ["ip", "netns", "del", self.space])
        ip_batch(self.space, ["link add near type veth peer name far", "link set near up", "link set far up",
                              "link add nothing type bridge", "link set nothing up"])
        run(["ethtool", "-K", "far", "gro", "off"], self.space)

    def ask(self, *devices: str, prefix: tuple[str, ...] = (), code: int = 0) -> dict:
        argv = [*prefix, find_binary(BIN_DIR, "sluicectl"), "features", *devices, "-o", "json"]
        done = subprocess.run(in_namespace(self.space, argv), capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, code, done.stderr + done.stdout)
        return json.loads(done.stdout) if done.stdout else {}

    def interface(self, name: str) -> dict:
        return self.ask(name)["interfaces"][0]

    def test_all_interfaces_without_a_name(self) -> None:
        answer = self.ask()
        self.assertTrue(answer["kernel"]["supported"])
        self.assertEqual({i["device"] for i in answer["interfaces"]} & {"near", "far", "nothing", "lo"},
                         {"near", "far", "nothing"})

    def test_the_silent_loss_of_a_veth_whose_peer_has_no_gro(self) -> None:
        if not self.ask()["kernel"]["xdp_features"]:
            self.assertEqual(self.interface("near")["xmit"], "unknown")
            self.skipTest("kernel lacks netlink family netdev (6.3)")
        near = self.interface("near")
        self.assertEqual((near["driver"], near["native"], near["xmit"], near["reader"], near["trust"]),
                         ("veth", "yes", "no", "veth", "exact"))
        self.assertIn("takes no redirected frames", near["transmit"][0]["what"])
        self.assertIn("gro on", near["transmit"][0]["cure"])
        run(["ethtool", "-K", "far", "gro", "on"], self.space)
        self.assertEqual(self.interface("near")["xmit"], "yes")
        self.assertEqual(self.interface("near")["transmit"], [])

    def test_a_device_without_xdp(self) -> None:
        nothing = self.interface("nothing")
        self.assertEqual(nothing["reader"], "none")
        self.assertIn(nothing["native"], ("no", "unknown"))  # before 6.3 the kernel does not say

    def test_no_such_interface(self) -> None:
        self.ask("missing0", code=1)

    def test_a_kernel_without_type_information_is_unsupported(self) -> None:
        hide = ("unshare", "-m", "sh", "-c", 'mount -t tmpfs none /sys/kernel/btf && exec "$@"', "sh")
        answer = self.ask("near", prefix=hide, code=5)
        self.assertFalse(answer["kernel"]["supported"])
        self.assertIn("/sys/kernel/btf", answer["kernel"]["missing"][0])


if __name__ == "__main__":
    unittest.main()
