"""Captures of real networks and of fuzzers, replayed: what the kernel forwards, sluice forwards, with the same bytes."""
from __future__ import annotations

import os
import socket
import struct
import time
from collections import Counter
from pathlib import Path
from typing import Callable

from captures import captured_frames
from frames_interop import Kernel
from lab import ROUTER_WAN_IP, ROUTER_WAN_IP6, SINK_IP, SINK_IP6, SOURCE_MAC, Lab
from lab_case import LabCase, port, sluice
from netns import inside, ip_batch
from treatments import Sluice, Treatment

BUILD = Path(os.environ.get("SLUICE_BUILD_DIR", Path(__file__).resolve().parents[2] / "build"))
ETH_P_ALL, SOL_PACKET, PACKET_AUXDATA, SO_RCVBUFFORCE = 3, 263, 8, 33
TP_STATUS_VLAN_VALID, TP_STATUS_VLAN_TPID_VALID = 1 << 4, 1 << 6
GAP_S = 0.0004


class Wire(Sluice):
    """`forward: xconnect`."""

    def policy_text(self, lab: Lab) -> str:
        return super().policy_text(lab) + "    forward: xconnect\n"


def receive(sink: socket.socket) -> tuple[bytes, int]:
    """A frame with the VLAN tag that the kernel has taken from it, and its packet type."""
    frame, extras, _, (_, _, kind, *_) = sink.recvmsg(65536, 256)
    for _, _, data in extras:
        status, *_, tag, protocol = struct.unpack("IIIHHHH", data[:20])
        if status & TP_STATUS_VLAN_VALID:
            protocol = protocol if status & TP_STATUS_VLAN_TPID_VALID else 0x8100
            frame = frame[:12] + struct.pack("!HH", protocol, tag) + frame[12:]
    return frame, kind


def internet_checksum(data: bytes) -> int:
    total = sum(int.from_bytes(data[i:i + 2], "big") for i in range(0, len(data) & ~1, 2))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total


def receivers_problem(frame: bytes) -> bool:
    """Errors that the kernel's router looks for and sluice leaves to the receiver, who finds them too: the checksum of the
    IPv4 header, an IPv6 payload length of 0 without the jumbo option."""
    kind, packet = frame[12:14], frame[14:]
    if kind == b"\x08\x00":
        return internet_checksum(packet[:(packet[0] & 15) * 4]) != 0xffff
    return kind == b"\x86\xdd" and packet[4:6] == b"\0\0"


def without_trailer(frame: bytes) -> bytes:
    """The kernel's router cuts what follows the packet, padding most often; sluice leaves the frame as it is."""
    kind, packet = frame[12:14], frame[14:]
    if kind == b"\x08\x00":
        return frame[:14 + int.from_bytes(packet[2:4], "big")]
    return frame[:54 + int.from_bytes(packet[4:6], "big")] if kind == b"\x86\xdd" else frame


def is_routers_own(frame: bytes) -> bool:
    """Its errors about what it could not forward, at a limited rate, its questions for neighbours and its reports of groups,
    whenever it likes: what comes from its own address, from a link's or from none is never forwarded."""
    own = [socket.inet_aton(ROUTER_WAN_IP), socket.inet_pton(socket.AF_INET6, ROUTER_WAN_IP6), bytes(16)]
    source = frame[26:30] if frame[12:14] == b"\x08\x00" else frame[22:38]
    return source in own or source[:2] == b"\xfe\x80"


def is_from_source(frame: bytes) -> bool:
    """A wire leaves the address of who sent it; the router's own frames have the router's."""
    return frame[6:12].hex(":") == SOURCE_MAC


class Captures(LabCase):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.frames = captured_frames(BUILD / "captures")

    def replay(self, treatment: Treatment, key: Callable[[bytes], bytes],
               wanted: Callable[[bytes], bool]) -> tuple[Counter[bytes], dict | None]:
        """What came out at the sink, and sluice's own account."""
        found: Counter[bytes] = Counter()
        with self.lab(treatment, listeners=False, rate="1gbit", router_gro=treatment.name == "sluice") as lab:
            ip_batch(lab.router, [f"route add default via {SINK_IP} dev {lab.wan}",
                                  f"route add ::/0 via {SINK_IP6} dev {lab.wan}"])
            with inside(lab.sink):
                sink = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
            with inside(lab.source):
                source = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            with sink, source:
                sink.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 24)
                sink.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
                sink.bind((lab.sink_device, 0))
                sink.setblocking(False)
                source.bind((lab.source_device, 0))

                def collect() -> None:
                    try:
                        while True:
                            frame, kind = receive(sink)
                            if kind != socket.PACKET_OUTGOING and wanted(frame):
                                found[key(frame)] += 1
                    except BlockingIOError:
                        pass

                for i, frame in enumerate(self.frames):
                    source.send(frame)
                    time.sleep(GAP_S)
                    if i % 64 == 0:
                        collect()
                time.sleep(0.5)
                collect()
            return found, treatment.status(lab) if treatment.name == "sluice" else None

    def test_as_the_kernel_would(self) -> None:
        forwarded = lambda frame: not is_routers_own(frame)  # noqa: E731
        by_kernel, _ = self.replay(Kernel(), without_trailer, forwarded)
        by_sluice, status = self.replay(sluice("1gbit"), without_trailer, forwarded)
        missing, more = by_kernel - by_sluice, by_sluice - by_kernel
        self.note(frames=len(self.frames), kernel=by_kernel.total(), sluice=by_sluice.total(), only_sluice=more.total(),
                  passed={row["name"]: row["packets"] for row in port(status, "lan")["passed"] if row["packets"]})
        self.assertGreater(len(self.frames), 5000)
        self.assertGreater(by_kernel.total(), 1000)
        self.assertEqual([frame.hex() for frame in missing], [], "the kernel forwards them, sluice must not lose or change them")
        self.assertEqual([frame.hex() for frame in more if not receivers_problem(frame)], [])
        self.all_explained(status)

    def test_a_wire_changes_nothing(self) -> None:
        arrived, status = self.replay(Wire("1gbit"), lambda frame: frame, is_from_source)
        passed = sum(row["packets"] for row in port(status, "lan")["passed"])
        self.note(frames=len(self.frames), arrived=arrived.total(), passed=passed)
        self.assertGreater(arrived.total(), 2000)
        self.assertEqual([frame.hex() for frame in arrived - Counter(self.frames)], [])
        self.all_explained(status)

    def all_explained(self, status: dict) -> None:
        self.assertEqual(status["health"], "ok")
        self.assertEqual(port(status, "lan")["ledger"]["unexplained_received"], 0)
        self.assertEqual(port(status, "wan")["ledger"]["unexplained_admitted"], 0)
