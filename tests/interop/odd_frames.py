"""Frames that scapy makes, each with a name and, where it can hold one, a mark by which it is found again."""
from __future__ import annotations

import logging
import struct

logging.getLogger("scapy.runtime").setLevel(logging.ERROR)

from scapy.all import (  # noqa: E402
    AH, ARP, ESP, GRE, ICMP, IP, TCP, UDP, VXLAN, Dot1AD, Dot1Q, Dot3, EAPOL, Ether, ICMPv6EchoRequest, IPOption,
    IPOption_LSRR, IPOption_Router_Alert, IPOption_RR, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting, IPv6ExtHdrSegmentRouting, LLC, PPP, PPPoE, Raw, SCTP, STP, fragment, fragment6, raw)

from lab import ROUTER_LAN_MAC, SINK_IP, SINK_IP6, SOURCE_IP, SOURCE_IP6, SOURCE_MAC  # noqa: E402

MARK = b"odd!"


class Frames:
    """Collects frames; each gets the next mark."""

    def __init__(self) -> None:
        self.named: list[tuple[str, bytes]] = []

    def mark(self) -> bytes:
        return MARK + struct.pack("!H", len(self.named)) + b"." * 18

    def add(self, name: str, packet: object) -> None:
        self.named.append((name, raw(packet)))

    def v4(self, name: str, payload: object = None, **fields: object) -> None:
        ip = IP(**{"src": SOURCE_IP, "dst": SINK_IP, **fields})
        self.add(name, self.ether() / ip / (UDP(sport=1111, dport=9) if payload is None else payload) / self.mark())

    def v6(self, name: str, *layers: object, **fields: object) -> None:
        packet = self.ether() / IPv6(**{"src": SOURCE_IP6, "dst": SINK_IP6, **fields})
        for layer in layers or (UDP(sport=1111, dport=9),):
            packet = packet / layer
        self.add(name, packet / self.mark())

    @staticmethod
    def ether(**fields: object) -> Ether:
        return Ether(**{"src": SOURCE_MAC, "dst": ROUTER_LAN_MAC, **fields})


def ipv4(f: Frames) -> None:
    for ttl in (0, 1, 2, 255):
        f.v4(f"ttl {ttl}", ttl=ttl)
    for tos in (1, 2, 3, 0xb8, 0xff):
        f.v4(f"tos {tos}", tos=tos)
    for proto in (0, 2, 4, 41, 47, 50, 89, 103, 112, 132, 255):
        f.v4(f"protocol {proto}", payload=Raw(b"\x45" * 24), proto=proto)
    f.v4("router alert", options=[IPOption_Router_Alert()])
    f.v4("record route", options=[IPOption_RR(length=11, pointer=4, routers=["0.0.0.0", "0.0.0.0"])])
    f.v4("loose source route", options=[IPOption_LSRR(routers=[SINK_IP])])
    f.v4("unknown option", options=[IPOption(b"\x9e\x04ab")])
    f.v4("checksum wrong", chksum=0x1234)
    f.v4("checksum zero", chksum=0)
    f.v4("length too long", len=1400)
    f.v4("length too short", len=12)
    f.v4("header length 4", ihl=4)
    f.v4("header length 15", ihl=15)
    f.v4("version 5", version=5)
    f.v4("reserved flag", flags=4)
    f.v4("last fragment", frag=100)
    f.v4("tiny first fragment", payload=TCP(), flags=1)
    f.v4("overlapping offset", frag=8191, flags=1)
    f.v4("udp length lies", payload=UDP(sport=1, dport=9, len=4))
    f.v4("udp checksum zero", payload=UDP(sport=1, dport=9, chksum=0))
    f.v4("tcp null", payload=TCP(flags=0, dport=9))
    f.v4("tcp xmas", payload=TCP(flags="FPU", dport=9))
    f.v4("tcp syn fin", payload=TCP(flags="SF", dport=9))
    f.v4("tcp data offset 15", payload=TCP(dataofs=15, dport=9))
    f.v4("gre", payload=GRE() / IP(src="10.9.9.9", dst="10.8.8.8") / UDP())
    f.v4("ip in ip", payload=IP(src="10.9.9.9", dst="10.8.8.8", ttl=1) / UDP())
    f.v4("esp", payload=ESP(spi=7, data=b"x" * 30))
    f.v4("ah", payload=AH(spi=7, icv=b"x" * 12) / UDP())
    f.v4("sctp", payload=SCTP(sport=1, dport=9))
    f.v4("vxlan", payload=UDP(dport=4789) / VXLAN(vni=7) / Ether() / IP())
    f.v4("icmp redirect", payload=ICMP(type=5, code=1))
    f.v4("icmp fragmentation needed", payload=ICMP(type=3, code=4, nexthopmtu=68))
    for destination in ("255.255.255.255", "224.0.0.5", "239.1.1.1", "127.0.0.1", "0.0.0.0", "169.254.1.1", "240.0.0.1"):
        f.v4(f"to {destination}", dst=destination)
    for source in ("127.0.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255"):
        f.v4(f"from {source}", src=source)
    for part in fragment(IP(src=SOURCE_IP, dst=SINK_IP, id=77) / UDP(dport=9) / (f.mark() * 120), fragsize=800):
        f.add("scapy fragment", f.ether() / part)


def ipv6(f: Frames) -> None:
    udp = UDP(sport=1111, dport=9)
    for limit in (0, 1, 2):
        f.v6(f"hop limit {limit}", hlim=limit)
    f.v6("hop-by-hop", IPv6ExtHdrHopByHop(), udp)
    f.v6("destination options", IPv6ExtHdrDestOpt(), udp)
    f.v6("routing type 0", IPv6ExtHdrRouting(addresses=["fd77:2::9"]), udp)
    f.v6("segment routing", IPv6ExtHdrSegmentRouting(addresses=[SINK_IP6, "fd77:2::9"]), udp)
    f.v6("authentication", AH(spi=7, icv=b"x" * 12), udp)
    f.v6("atomic fragment", IPv6ExtHdrFragment(), udp)
    f.v6("later fragment", IPv6ExtHdrFragment(offset=100), Raw(b"x" * 40))
    f.v6("two routing headers", IPv6ExtHdrRouting(), IPv6ExtHdrRouting(), udp)
    f.v6("eight destination options", *[IPv6ExtHdrDestOpt()] * 8, udp)
    f.v6("hop-by-hop not first", IPv6ExtHdrDestOpt(), IPv6ExtHdrHopByHop(), udp)
    f.v6("no next header", nh=59)
    f.v6("unknown header", nh=253)
    f.v6("payload length too long", plen=1400)
    f.v6("payload length zero", plen=0)
    f.v6("flow label", fl=0xfffff, tc=0xff)
    f.v6("echo", ICMPv6EchoRequest())
    for destination in ("ff02::1", "ff0e::7", "fe80::1", "::1", "::", "::ffff:10.77.2.2"):
        f.v6(f"to {destination}", dst=destination)
    for source in ("::1", "ff02::1", "fe80::7", "::"):
        f.v6(f"from {source}", src=source)
    for part in fragment6(IPv6(src=SOURCE_IP6, dst=SINK_IP6) / IPv6ExtHdrFragment(id=7) / UDP(dport=9) / (f.mark() * 100),
                          1280):
        f.add("scapy fragment6", f.ether() / part)


def link_layer(f: Frames) -> None:
    ip = IP(src=SOURCE_IP, dst=SINK_IP) / UDP(dport=9)
    f.add("vlan 0", f.ether() / Dot1Q(vlan=0, prio=5) / ip / f.mark())
    f.add("vlan 5", f.ether() / Dot1Q(vlan=5) / ip / f.mark())
    f.add("qinq", f.ether() / Dot1AD(vlan=7) / Dot1Q(vlan=5) / ip / f.mark())
    f.add("three tags", f.ether() / Dot1Q(vlan=1) / Dot1Q(vlan=2) / Dot1Q(vlan=3) / ip / f.mark())
    f.add("pppoe", f.ether(type=0x8864) / PPPoE(sessionid=7) / PPP(proto=0x21) / ip / f.mark())
    f.add("pppoe length lies", f.ether(type=0x8864) / PPPoE(sessionid=7, len=9000) / PPP(proto=0x21) / ip / f.mark())
    f.add("mpls", f.ether(type=0x8847) / Raw(b"\x00\x00\x71\x40") / ip / f.mark())
    f.add("arp", f.ether(dst="ff:ff:ff:ff:ff:ff") / ARP(psrc=SOURCE_IP, pdst="10.77.1.99"))
    f.add("lldp", f.ether(dst="01:80:c2:00:00:0e", type=0x88cc) / Raw(b"\x02\x07\x04" + b"\0" * 60))
    f.add("spanning tree", Dot3(dst="01:80:c2:00:00:00", src=SOURCE_MAC) / LLC() / STP())
    f.add("eapol", f.ether(dst="01:80:c2:00:00:03", type=0x888e) / EAPOL())
    f.add("pause", f.ether(dst="01:80:c2:00:00:01", type=0x8808) / Raw(b"\0\1\0\0" + b"\0" * 42))
    f.add("somebody else's mac", f.ether(dst="02:99:99:99:99:99") / ip / f.mark())
    f.add("broadcast mac", f.ether(dst="ff:ff:ff:ff:ff:ff") / ip / f.mark())
    f.add("ethertype lies", f.ether(type=0x86dd) / ip / f.mark())
    f.add("padded", f.ether() / ip / f.mark() / (b"\0" * 600))
    whole = raw(f.ether() / ip / f.mark())
    for size in (14, 15, 20, 33, 34, 35, 41):
        f.add(f"cut at {size}", whole[:size])


def odd_frames() -> list[tuple[str, bytes]]:
    frames = Frames()
    ipv4(frames)
    ipv6(frames)
    link_layer(frames)
    return frames.named
