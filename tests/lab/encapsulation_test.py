"""Hosts that speak through VLAN and PPP interfaces of the kernel's own, across a sluice that connects their ports.

The kernel that this was written on has neither; the guests with Debian's kernels have both (tests/vm).
"""
from __future__ import annotations

import ctypes
import fcntl
import json
import os
import re
import socket
import stat
import struct
import threading
import time
import unittest
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

from lab_case import port
from netns import inside, ip_batch, run
from three_hosts import PATIENCE_S, ThreeHosts

WIRE = """version: 1
ports:
  lan: {device: lan0, rate: 200mbit}
  wan: {device: wan0, rate: 200mbit}
transitions:
  - from: lan
    to: wan
    forward: xconnect
    classes: [{name: voice, match: [{vlan: 7}, {vlan: 100, dst: 10.76.0.2}, {dst: 10.75.0.2}]}, {name: default}]
  - {from: wan, to: lan, forward: xconnect}
"""
ROUTED = """version: 1
ports:
  lan: {device: lan0, rate: 200mbit}
  wan: {device: wan0, rate: 200mbit}
transitions:
  - {from: lan, to: wan}
  - {from: wan, to: lan}
"""
TRANSFER = 300_000  # bytes, by TCP
SESSION = 77
AF_PPPOX, PPP_IP = 24, 0x21
PPPIOCGCHAN, PPPIOCATTCHAN, PPPIOCCONNECT, PPPIOCNEWUNIT, PPPIOCSNPMODE = 0x80047437, 0x40047438, 0x4004743A, 0xC004743E, 0x4008744B


def has_kind(kind: str) -> bool:
    try:
        run(["unshare", "-n", "sh", "-c", f"ip link add near type veth peer name far && ip link add link near name tagged type {kind} id 1"])
        return True
    except RuntimeError:
        return False


def kernel() -> tuple[int, int]:
    major, minor = os.uname().release.split(".")[:2]
    return int(major), int(minor)


def mac_of(space: str, device: str) -> bytes:
    text = re.search(r"link/ether (\S+)", run(["ip", "link", "show", device], space))
    return bytes.fromhex(text[1].replace(":", "")) if text else b""


@contextmanager
def ppp_interface(space: str, device: str, peer: bytes) -> Iterator[str]:
    """A PPP interface over one PPPoE session whose number both ends know: what pppd does after discovery and LCP."""
    libc = ctypes.CDLL(None, use_errno=True)
    with inside(space):
        session = socket.socket(AF_PPPOX, socket.SOCK_STREAM, 0)
        address = struct.pack("=HI", AF_PPPOX, 0) + struct.pack("!H", SESSION) + peer + device.encode().ljust(16, b"\0")
        if libc.connect(session.fileno(), address, len(address)) != 0:
            raise OSError(ctypes.get_errno(), "connect a PPPoE session")
        channel, unit = (os.open("/dev/ppp", os.O_RDWR) for _ in range(2))
        number = struct.unpack("i", fcntl.ioctl(session, PPPIOCGCHAN, struct.pack("i", 0)))[0]
        fcntl.ioctl(channel, PPPIOCATTCHAN, struct.pack("i", number))
        index = struct.unpack("i", fcntl.ioctl(unit, PPPIOCNEWUNIT, struct.pack("i", -1)))[0]
        fcntl.ioctl(channel, PPPIOCCONNECT, struct.pack("i", index))
        fcntl.ioctl(unit, PPPIOCSNPMODE, struct.pack("ii", PPP_IP, 0))
    try:
        yield f"ppp{index}"
    finally:
        os.close(unit)
        os.close(channel)
        session.close()


class Encapsulation(ThreeHosts):
    def start_plain(self, policy: str) -> None:
        """Frames leave the hosts as they shall be on a wire: whole, with their tags and checksums in them."""
        for space, device in ((self.source, "src0"), (self.sink, "dst0")):
            run(["ethtool", "-K", device, "gro", "on", "tx", "off", "tso", "off", "gso", "off", "txvlan", "off",
                 "tx-vlan-stag-hw-insert", "off"], space)
        self.start(policy)
        self.until_health("^ok$")

    def transfer(self, address: str) -> None:
        """A page of numbers by TCP, from the source to the sink, byte for byte."""
        data = bytes(i * 7 % 251 for i in range(TRANSFER))
        with inside(self.sink):
            listener = socket.create_server((address, 0))
        received = bytearray()

        def take() -> None:
            connection, _ = listener.accept()
            with connection:
                while part := connection.recv(65536):
                    received.extend(part)

        taker = threading.Thread(target=take)
        taker.start()
        with inside(self.source):
            client = socket.socket()
        client.settimeout(20)
        with listener, client:
            client.connect(listener.getsockname())
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            taker.join(20)
        self.assertEqual(bytes(received), data)

    def pings(self, address: str, count: int = 20) -> int:
        text = run(["sh", "-c", f"ping -q -n -i 0.02 -W 2 -c {count} {address} || true"], self.source)
        return int(re.search(r"(\d+) received", text)[1])

    def assert_connected(self, address: str) -> None:
        """Everything by sluice, in the class that its rule names, in both directions."""
        self.assertEqual(self.pings(address, 2), 2)
        before = self.status()
        self.assertEqual(self.pings(address), 20)
        self.transfer(address)
        after = self.status()
        voice = [sum(row["packets"] for c in port(s)["classes"] if c["name"] == "voice" for row in c["outcomes"]
                     if row["name"] == "forward") for s in (before, after)]
        sent = [{name: port(s, name)["sent_packets"] for name in ("lan", "wan")} for s in (before, after)]
        frames = TRANSFER // 1448
        self.assertGreaterEqual(voice[1] - voice[0], 20 + frames)
        self.assertGreaterEqual(sent[1]["wan"] - sent[0]["wan"], 20 + frames)
        self.assertGreaterEqual(sent[1]["lan"] - sent[0]["lan"], 20 + frames // 40)
        for name in ("lan", "wan"):
            passed = {row["name"]: row["packets"] for row in port(after, name)["passed"] if row["packets"]}
            self.assertEqual(passed, {}, f"frames that {name} gave to the kernel")
            self.assertEqual(port(after, name)["ledger"]["unexplained_received"], 0)
        print(f"    {address}: {voice[1] - voice[0]} frames in class voice, {sent[1]['lan'] - sent[0]['lan']} back", flush=True)

    def make_tagged_interfaces(self) -> None:
        for space, device, host in ((self.source, "src0", 1), (self.sink, "dst0", 2)):
            ip_batch(space, [f"link add link {device} name v7 type vlan id 7", f"addr add 10.77.0.{host}/24 dev v7", "link set v7 up",
                             f"link add link {device} name s100 type vlan proto 802.1ad id 100", "link set s100 up",
                             "link add link s100 name c7 mtu 1496 type vlan id 7", f"addr add 10.76.0.{host}/24 dev c7", "link set c7 up"])

    @contextmanager
    def ppp_interfaces(self) -> Iterator[None]:
        if not os.path.exists("/dev/ppp"):
            os.mknod("/dev/ppp", stat.S_IFCHR | 0o600, os.makedev(108, 0))
        macs = mac_of(self.source, "src0"), mac_of(self.sink, "dst0")
        with ppp_interface(self.source, "src0", macs[1]) as near, ppp_interface(self.sink, "dst0", macs[0]) as far:
            for space, device, ends in ((self.source, near, (1, 2)), (self.sink, far, (2, 1))):
                ip_batch(space, [f"link set {device} mtu 1492 up", f"addr add 10.75.0.{ends[0]} peer 10.75.0.{ends[1]} dev {device}"])
            yield

    @unittest.skipUnless(has_kind("vlan"), "this kernel has no 8021q, and no PPP")
    def test_a_wire_between_vlan_qinq_and_pppoe_interfaces(self) -> None:
        self.make_tagged_interfaces()
        with self.ppp_interfaces():
            self.start_plain(WIRE)
            for kind, address in (("vlan", "10.77.0.2"), ("qinq", "10.76.0.2"), ("pppoe", "10.75.0.2")):
                with self.subTest(kind):
                    self.assert_connected(address)

    def make_routed_interfaces(self) -> None:
        """A trunk to the source: VLAN 7, VLAN 7 in the service VLAN 100. The way to the sink is VLAN 9; untagged works too."""
        for space, device, host in ((self.source, "src0", 2), (self.router, "lan0", 1)):
            ip_batch(space, [f"link add link {device} name v7 type vlan id 7", f"addr add 10.77.0.{host}/24 dev v7", "link set v7 up",
                             f"link add link {device} name s100 type vlan proto 802.1ad id 100", "link set s100 up",
                             "link add link s100 name c7 mtu 1496 type vlan id 7", f"addr add 10.76.0.{host}/24 dev c7", "link set c7 up"])
        for space, device, host in ((self.sink, "dst0", 2), (self.router, "wan0", 1)):
            ip_batch(space, [f"link add link {device} name v9 type vlan id 9", f"addr add 10.79.0.{host}/24 dev v9", "link set v9 up"])
        ip_batch(self.sink, ["route replace default via 10.79.0.1"])

    def from_vlan(self, gateway: str) -> None:
        """Both hosts speak by VLANs from now on: the source by that of `gateway`, the sink by VLAN 9."""
        ip_batch(self.source, [f"route replace 10.79.0.0/24 via {gateway}"])
        self.pings("10.79.0.2", 2)

    def passed(self, name: str) -> dict[str, int]:
        return {row["name"]: row["packets"] for row in port(self.status(), name)["passed"] if row["packets"]}

    def assert_routed(self) -> None:
        """Everything by sluice, nothing by the kernel, in both directions."""
        before, passed = self.status(), [self.passed(name) for name in ("lan", "wan")]
        self.assertEqual(self.pings("10.79.0.2"), 20)
        self.transfer("10.79.0.2")
        after = self.status()
        sent = {name: port(after, name)["sent_packets"] - port(before, name)["sent_packets"] for name in ("lan", "wan")}
        frames = TRANSFER // 1448
        self.assertGreaterEqual(sent["wan"], 20 + frames)
        self.assertGreaterEqual(sent["lan"], 20 + frames // 40)
        self.assertEqual([self.passed(name) for name in ("lan", "wan")], passed, "frames that the kernel was left")
        for name in ("lan", "wan"):
            self.assertEqual(port(after, name)["ledger"]["unexplained_received"], 0)
            self.assertEqual(port(after, name)["ledger"]["unexplained_admitted"], 0)
        print(f"    {self._testMethodName}: {sent['wan']} frames there, {sent['lan']} back", flush=True)

    @unittest.skipUnless(has_kind("vlan"), "this kernel has no 8021q")
    def test_routes_from_vlan_to_vlan(self) -> None:
        self.make_routed_interfaces()
        self.start_plain(ROUTED)
        self.assert_all_routed()

    @unittest.skipUnless(has_kind("vlan"), "this kernel has no 8021q")
    def test_routes_from_vlan_to_vlan_in_generic_mode(self) -> None:
        self.make_routed_interfaces()
        self.start_plain(ROUTED.replace("rate:", "xdp: generic, rate:"))
        self.assert_all_routed()

    @unittest.skipUnless(has_kind("vlan") and kernel() >= (6, 6), "tc ingress needs Linux 6.6, and 8021q is needed")
    def test_routes_from_vlan_to_vlan_by_tc_ingress(self) -> None:
        """The stack has taken the outermost tag out of the frame there."""
        self.make_routed_interfaces()
        self.start_plain(ROUTED.replace("rate:", "xdp: tc, rate:"))
        self.assert_all_routed()

    def assert_all_routed(self) -> None:
        for kind, gateway in (("vlan", "10.77.0.1"), ("qinq", "10.76.0.1"), ("untagged", "10.88.1.1")):
            with self.subTest(kind):
                self.from_vlan(gateway)
                self.assert_routed()

    @unittest.skipUnless(has_kind("vlan"), "this kernel has no 8021q")
    def test_vlan_interfaces_come_and_go(self) -> None:
        """Interfaces that are down, gone or not known yet are the kernel's affair."""
        self.start_plain(ROUTED)
        self.make_routed_interfaces()
        self.until_vlans(4)
        self.from_vlan("10.77.0.1")
        self.assert_routed()
        ip_batch(self.router, ["link set v7 down"])
        self.until_vlans(3)
        before = self.passed("lan").get("pass_vlan", 0)
        self.assertEqual(self.pings("10.79.0.2"), 0)
        self.assertGreaterEqual(self.passed("lan")["pass_vlan"] - before, 15)
        ip_batch(self.router, ["link set v7 up"])
        self.until_vlans(4)
        self.pings("10.79.0.2", 2)
        self.assert_routed()
        ip_batch(self.router, ["link del s100"])
        self.until_vlans(2)

    def until_vlans(self, count: int) -> None:
        """Until the map has `count` interfaces, each in both directions."""
        begin = time.monotonic()
        while (entries := self.vlan_entries()) != 2 * count:
            if time.monotonic() > begin + PATIENCE_S:
                self.fail(f"{entries} entries in sl_vlans instead of {2 * count}: {self.daemon.messages()[-2000:]}")
            time.sleep(0.02)
        print(f"    {count} VLAN interfaces known after {time.monotonic() - begin:.2f} s", flush=True)

    def vlan_entries(self) -> int:
        pin = next(Path("/sys/fs/bpf", self.router).rglob("sl_vlans"))
        return len(json.loads(run(["bpftool", "-j", "map", "dump", "pinned", str(pin)])))


if __name__ == "__main__":
    unittest.main()
