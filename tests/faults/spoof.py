#!/usr/bin/env python3
"""UDP frames from ever other addresses and ports to the lab's sink: spoof.py DEVICE FRAMES_PER_SECOND, until SIGTERM."""
from __future__ import annotations

import random
import socket
import struct
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "lab"))

from lab import ROUTER_LAN_MAC, SINK_IP, SOURCE_MAC  # noqa: E402

FRAME, BURST, FLOWS = 1242, 15, 1 << 16


def checksum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def headers() -> list[bytes]:
    mac = bytes.fromhex((ROUTER_LAN_MAC + SOURCE_MAC).replace(":", "")) + b"\x08\x00"
    made = []
    for _ in range(FLOWS):
        source = bytes([10, random.randrange(128, 256), random.randrange(256), random.randrange(1, 255)])
        ip = struct.pack("!BBHHHBBH", 0x45, 0, FRAME - 14, 0, 0x4000, 64, 17, 0) + source + socket.inet_aton(SINK_IP)
        ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
        made.append(mac + ip + struct.pack("!HHHH", random.randrange(1024, 65536), 9, FRAME - 34, 0))
    return made


def main() -> None:
    device, rate = sys.argv[1], int(sys.argv[2])
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    raw.bind((device, 0))
    frames, payload = headers(), b"\0" * (FRAME - 42)
    sent, begin = 0, time.monotonic()
    while True:
        due = int((time.monotonic() - begin) * rate)
        for i in range(sent, min(due, sent + BURST)):
            try:
                raw.send(frames[i % FLOWS] + payload)
            except OSError:
                pass  # the device is full
        if due <= sent + BURST:
            time.sleep(0.0005)
        sent = due


if __name__ == "__main__":
    main()
