"""Scapy's oddities: what the kernel forwards, sluice forwards, with the same bytes; and each frame is accounted for."""
from __future__ import annotations

import socket
import struct
import time

from lab import Lab
from lab_case import LabCase, sluice
from netns import inside
from odd_frames import MARK, odd_frames
from treatments import Treatment

# Errors that the kernel's router looks for and sluice leaves to the receiver, who finds them too: the checksum of the IPv4
# header (RFC 1812 lets a router check it, IPv6 has none), and an IPv6 payload length of 0 without the jumbo option.
FORWARDED_BY_SLUICE_ONLY = {"checksum wrong", "checksum zero", "payload length zero"}


class Kernel:
    """The kernel forwards by itself: what sluice is compared with."""

    name = "nothing"

    def start(self, lab: Lab) -> None:
        pass


class Frames(LabCase):
    def arrived(self, treatment: Treatment, account: bool) -> dict[str, list[bytes]]:
        """Name → frames that came out at the sink."""
        frames = odd_frames()
        with self.lab(treatment, listeners=False) as lab:
            with inside(lab.sink):
                sink = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))  # ETH_P_ALL
            sink.bind((lab.sink_device, 0))
            sink.setblocking(False)
            with inside(lab.source):
                source = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            source.bind((lab.source_device, 0))
            rounds = 3 if account else 1
            for _ in range(rounds):
                for _, frame in frames:
                    source.send(frame)
                    time.sleep(0.002)
            time.sleep(0.3)
            found: dict[str, list[bytes]] = {}
            try:
                while True:
                    frame, (_, _, kind, *_) = sink.recvfrom(65536)
                    at = frame.find(MARK)
                    if kind != socket.PACKET_OUTGOING and at >= 0 and len(frame) >= at + 6:
                        found.setdefault(frames[struct.unpack("!H", frame[at + 4:at + 6])[0]][0], []).append(frame)
            except BlockingIOError:
                pass
            if account:
                self.check_counters(treatment.status(lab), len(frames) * rounds)
            source.close()
            sink.close()
        return found

    def check_counters(self, status: dict, sent: int) -> None:
        lan, wan = ({p["name"]: p for p in status["ports"]}[name] for name in ("lan", "wan"))
        passed = sum(row["packets"] for row in lan["passed"])
        decided = sum(o["packets"] for c in wan["classes"] for o in c["outcomes"] if not o["name"].startswith("would"))
        self.note(sent=sent, received=lan["received_packets"], passed=passed, decided=decided,
                  reasons={row["name"]: row["packets"] for row in lan["passed"] if row["packets"]})
        self.assertGreaterEqual(lan["received_packets"], sent)
        self.assertLessEqual(lan["received_packets"], sent + 20)  # multicast reports of the source's own stack
        self.assertEqual(passed + decided, lan["received_packets"])
        self.assertEqual(status["health"], "ok")

    def test_as_the_kernel_would(self) -> None:
        by_kernel = self.arrived(Kernel(), account=False)
        by_sluice = self.arrived(sluice(), account=True)
        self.note(frames=len(odd_frames()), kernel=len(by_kernel), sluice=len(by_sluice),
                  sluice_only=sorted(set(by_sluice) - set(by_kernel)))
        self.assertGreater(len(by_kernel), 40)
        self.assertEqual(set(by_kernel) - set(by_sluice), set(), "the kernel forwards them, sluice must not lose them")
        self.assertLessEqual(set(by_sluice) - set(by_kernel), FORWARDED_BY_SLUICE_ONLY)
        for name, frames in by_kernel.items():
            for frame in by_sluice[name]:
                self.assertIn(frame, frames, f"{name}: sluice changed other bytes than the kernel")
