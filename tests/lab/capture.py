"""Every frame that leaves the source and reaches the sink, by AF_PACKET: what the router did to its bits.

Nothing of sluice is asked here. Frames are known again by what no router may change.
"""
from __future__ import annotations

import socket
import struct
from dataclasses import dataclass, field
from threading import Thread

from netns import inside

NOT_ECT, ECT1, ECT0, CE = range(4)
_ETH_P_ALL, _PACKET_OUTGOING, _SOL_PACKET, _PACKET_STATISTICS, _SO_RCVBUFFORCE = 3, 4, 263, 6, 33
_HEADERS = 128  # bytes kept of each frame


class Capture:
    """Headers of the frames that one device sends (outgoing) or receives, until stop()."""

    def __init__(self, namespace: str, device: str, outgoing: bool) -> None:
        with inside(namespace):
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 64 << 20)
        self._socket.bind((device, _ETH_P_ALL))
        self._socket.settimeout(0.1)
        self._outgoing, self._stop = outgoing, False
        self.frames: list[bytes] = []
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop:
            try:
                frame, address = self._socket.recvfrom(_HEADERS)
            except TimeoutError:
                continue
            if (address[2] == _PACKET_OUTGOING) == self._outgoing:
                self.frames.append(frame)

    def stop(self) -> int:
        """Returns how many frames the kernel could not give to us."""
        self._stop = True
        self._thread.join()
        _, missed = struct.unpack("II", self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))
        self._socket.close()
        return missed


@dataclass
class Packet:
    """The IP header of a frame: its ECN field, and whether its checksum holds (IPv6 has none)."""

    ecn: int
    checksum_ok: bool
    key: bytes  # what a router must not change


def ones_sum(header: bytes) -> int:
    total = sum(struct.unpack(f"!{len(header) // 2}H", header))
    while total > 0xffff:
        total = (total & 0xffff) + (total >> 16)
    return total


def parse(frame: bytes) -> Packet | None:
    """None: not IP."""
    kind, ip = frame[12:14], frame[14:]
    if kind == b"\x08\x00":
        length = 4 * (ip[0] & 15)
        # Identification, flags, protocol, addresses; then the ports, numbers and checksum of the next header.
        key = ip[2:8] + ip[9:10] + ip[12:length + 32]
        return Packet(ip[1] & 3, ones_sum(ip[:length]) == 0xffff, key)
    if kind == b"\x86\xdd":
        return Packet(ip[1] >> 4 & 3, True, ip[2:7] + ip[8:72])
    return None


@dataclass
class Judgement:
    """What happened to the ECN fields between source and sink."""

    arrived: int = 0
    unknown: int = 0  # nobody saw the source send it
    bad_checksums: int = 0
    ce: int = 0
    ce_on_not_ect: int = 0
    changed: int = 0  # in another way than ECT to CE
    of: dict[int, int] = field(default_factory=lambda: {NOT_ECT: 0, ECT1: 0, ECT0: 0, CE: 0})  # arrived, as sent


def judge(sent: list[bytes], arrived: list[bytes]) -> Judgement:
    """Compares each packet that arrived with the same packet when it was sent."""
    fields: dict[bytes, set[int]] = {}  # a retransmission may look like the first, with another field
    for frame in sent:
        if packet := parse(frame):
            fields.setdefault(packet.key, set()).add(packet.ecn)
    result = Judgement()
    for frame in arrived:
        packet = parse(frame)
        if not packet:
            continue
        result.arrived += 1
        result.bad_checksums += not packet.checksum_ok
        was = fields.get(packet.key)
        if not was:
            result.unknown += 1
            continue
        result.of[max(was)] += 1
        if packet.ecn == CE and CE not in was:
            result.ce += 1
            result.ce_on_not_ect += was == {NOT_ECT}
        elif packet.ecn not in was:
            result.changed += 1
    return result
