"""Frames that other people's networks and tools sent: the captures of tcpdump's own test suite, out of Debian's source package.

Some 300 Ethernet captures of routers, switches and hosts, and of fuzzers: most protocols that tcpdump knows, whole, cut and
broken. They are fetched once into the build directory and are not part of this tree.
"""
from __future__ import annotations

import hashlib
import io
import struct
import tarfile
import urllib.request
from pathlib import Path

from lab import ROUTER_LAN_MAC, SOURCE_MAC

PACKAGE = "http://deb.debian.org/debian/pool/main/t/tcpdump/tcpdump_4.99.3.orig.tar.gz"
SHA256 = "ad75a6ed3dc0d9732945b2e5483cb41dc8b4b528a169315e499c6861952e73b3"  # as tcpdump_4.99.3-1.dsc says
ETHERNET = 1
HEADER, LARGEST = 14, 1514
BYTE_ORDERS = {b"\xd4\xc3\xb2\xa1": "<", b"\x4d\x3c\xb2\xa1": "<", b"\xa1\xb2\xc3\xd4": ">", b"\xa1\xb2\x3c\x4d": ">"}


def package(folder: Path) -> bytes:
    kept = folder / PACKAGE.rsplit("/", 1)[1]
    data = kept.read_bytes() if kept.exists() else urllib.request.urlopen(PACKAGE, timeout=60).read()
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise ValueError(f"{PACKAGE} is not what Debian signed: SHA-256 differs")
    folder.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(data)
    return data


def frames_of(capture: bytes) -> list[bytes]:
    """The Ethernet frames of a pcap file, as far as they were captured; none of another link type."""
    order = BYTE_ORDERS.get(capture[:4])
    if not order or len(capture) < 24 or struct.unpack(order + "I", capture[20:24])[0] & 0xffff != ETHERNET:
        return []
    frames, at = [], 24
    while at + 16 <= len(capture):
        length = struct.unpack(order + "I", capture[at + 8:at + 12])[0]
        frame = capture[at + 16:at + 16 + length]
        at += 16 + length
        if len(frame) < length:
            break  # the file was cut
        frames.append(frame)
    return frames


def addressed(frame: bytes) -> bytes:
    """As the lab's source would send it to the router; what goes to a group stays so."""
    group = frame[0] & 1
    mac = lambda text: bytes.fromhex(text.replace(":", ""))  # noqa: E731
    return (frame[:6] if group else mac(ROUTER_LAN_MAC)) + mac(SOURCE_MAC) + frame[12:]


def captured_frames(folder: Path) -> list[bytes]:
    """Each once, in the order of the captures; of a size that the lab's devices take."""
    frames: dict[bytes, None] = {}
    with tarfile.open(fileobj=io.BytesIO(package(folder))) as archive:
        for member in sorted(archive.getmembers(), key=lambda m: m.name):
            if "/tests/" in member.name and member.name.endswith((".pcap", ".cap")) and member.isfile():
                for frame in frames_of(archive.extractfile(member).read()):
                    if HEADER <= len(frame) <= LARGEST:
                        frames[addressed(frame)] = None
    return list(frames)
