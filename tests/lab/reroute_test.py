"""Reroute on real traffic: two slow links side by side, TCP that the first one alone could not carry."""
from __future__ import annotations

import socket
import struct
import threading
import time
from dataclasses import dataclass

from lab import SINK_IP, SOURCE_IP, SOURCE_IP6, SOURCE_MAC, Lab, SlowLink
from lab_case import LabCase, port, wire_bytes
from netns import inside, ip_batch, run
from traffic import FLOOD_PORT, Traffic, TrafficOptions
from treatments import Sluice

RATE, FLOWS, FLOWLET_MS = 25, 16, 10
WARMUP_S, SECONDS = 4.0, 8.0
LTE_MAC, LTE_SINK_MAC, LTE_IP, LTE_SINK_IP = "02:77:00:00:03:01", "02:77:00:00:03:02", "10.77.3.1", "10.77.3.2"


def add_second_link(lab: Lab) -> SlowLink:
    """A link like the lab's from router to sink; what the sink answers goes back by the first one."""
    report = lab.folder / "second.json"
    ip_batch(lab.source, ["link add src1 type veth peer name src2", "link set src1 up"])  # where it would stamp and answer
    process = lab.spawn("second", lab.router, [
        lab.binary("slowlink"), "--tap", "lte0", "--sink-tap", "dst1", "--sink-netns", f"/run/netns/{lab.sink}",
        "--rate", f"{RATE}mbit", "--delay-ms", str(lab.options.rtt_ms / 2), "--source-netns",
        f"/run/netns/{lab.source}", "--source-device", "src1", "--source-ip", SOURCE_IP, "--source-ip6",
        SOURCE_IP6, "--source-mac", SOURCE_MAC, "--control", str(lab.folder / "second.sock"), "--json", str(report)])
    process.wait_ready()
    for namespace, device, mac in ((lab.router, "lte0", LTE_MAC), (lab.sink, "dst1", LTE_SINK_MAC)):
        run(["ethtool", "-K", device, "tx", "off", "tso", "off", "gso", "off"], namespace)
        ip_batch(namespace, [f"link set {device} addrgenmode none address {mac} txqueuelen 1000", f"link set {device} up"])
    ip_batch(lab.router, [f"addr add {LTE_IP}/24 dev lte0",
                          f"neigh replace {LTE_SINK_IP} lladdr {LTE_SINK_MAC} dev lte0 nud permanent"])
    run(["sysctl", "-q", "-w", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.dst1.rp_filter=0"], lab.sink)
    return SlowLink(process, lab.folder / "second.sock", report)


@dataclass
class TwoLinks(Sluice):
    when_full: str = "[mark, reroute, drop]"

    def policy_text(self, lab: Lab) -> str:
        return f"""version: 1
ports:
  lan: {{device: {lab.lan}}}
  wan: {{device: {lab.wan}, rate: {RATE}mbit}}
  lte: {{device: lte0, rate: {RATE}mbit, next_hop: {LTE_SINK_IP}}}
transitions:
  - from: [lan]
    to: wan
    overflow: [lte]
    flowlet: {FLOWLET_MS}ms
    classes: [{{name: default, when_full: {self.when_full}}}]
  - from: [lan]
    to: lte
"""


@dataclass
class Arrivals:
    """The numbers of a flow's datagrams in the order of their arrival."""

    sent: int
    numbers: list[int]

    def overtaken(self) -> list[int]:
        """Of each datagram that came after a later one, by how many it was late."""
        highest, late = -1, []
        for number in self.numbers:
            if number < highest:
                late.append(highest - number)
            highest = max(highest, number)
        return late


def numbered_flows(lab: Lab, flows: int, mbit: float, seconds: float) -> list[Arrivals]:
    """Flows of one size of datagram, in turn at even distances."""
    payload = 1200
    gap_s = wire_bytes(payload) * 8 / (mbit * 1e6)
    with inside(lab.sink):
        sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 23)
        sink.bind((SINK_IP, FLOOD_PORT))
    sink.settimeout(0.5)
    with inside(lab.source):
        sources = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(flows)]
    for source in sources:
        source.connect((SINK_IP, FLOOD_PORT))
    arrivals, done = [Arrivals(0, []) for _ in sources], threading.Event()

    def receive() -> None:
        while True:
            try:
                data = sink.recv(2048)
            except TimeoutError:
                if done.is_set():
                    return
                continue
            flow, number = struct.unpack_from("!II", data)
            arrivals[flow].numbers.append(number)

    receiver = threading.Thread(target=receive)
    receiver.start()
    begin, count = time.monotonic(), 0
    while (now := time.monotonic() - begin) < seconds:
        while count * gap_s < now:
            flow = count % flows
            sources[flow].send(struct.pack("!II", flow, arrivals[flow].sent) + b"\0" * (payload - 8))
            arrivals[flow].sent += 1
            count += 1
        time.sleep(0.0005)
    time.sleep(0.5)
    done.set()
    receiver.join()
    for s in (sink, *sources):
        s.close()
    return arrivals


def wire_bytes_sent(link: SlowLink) -> int:
    """As the link's rate counts them: with preamble, FCS and gap."""
    forward = link.command("stats")["forward"]
    return forward["bytes"] + 24 * forward["received"]


def tcp_counters(namespace: str) -> dict[str, int]:
    rows = run(["nstat", "-asz"], namespace).splitlines()
    return {words[0]: int(words[1]) for words in (row.split() for row in rows) if len(words) > 1 and words[1].isdigit()}


def classes(status: dict, name: str) -> dict[str, int]:
    """Frames by outcome, and `taken_over`, of all classes of a port."""
    total: dict[str, int] = {}
    for c in port(status, name)["classes"]:
        total["taken_over"] = total.get("taken_over", 0) + c["taken_over_packets"]
        for row in c["outcomes"]:
            total[row["name"]] = total.get(row["name"], 0) + row["packets"]
    return total


class Reroute(LabCase):
    def test_a_flow_that_leaves_is_not_reordered(self) -> None:
        """Eight paced UDP flows, together 1.4 times what the first link carries: those that it refuses leave, and after
        that both links have room. Every datagram is numbered. How many are refused before a flow leaves differs from run to
        run: one of two has to bring 95 %."""
        if self.arrived_in_order() <= 0.95:
            self.assertGreater(self.arrived_in_order(), 0.95)

    def arrived_in_order(self) -> float:
        treatment = TwoLinks(None)
        with self.lab(Later(), listeners=False, rate=f"{RATE}mbit") as lab:
            second = add_second_link(lab)
            treatment.start(lab)
            lab.settle()
            for link in (lab.link, second):
                link.command("go")
            arrivals = numbered_flows(lab, flows=8, mbit=1.4 * RATE, seconds=6)
            home, there = classes(treatment.status(lab), "wan"), classes(treatment.status(lab), "lte")
            lab.mute_source()
            second.stop()
        sent, received = sum(a.sent for a in arrivals), sum(len(a.numbers) for a in arrivals)
        late = [n for a in arrivals for n in a.overtaken()]
        self.note(sent=sent, received=received, overtaken=len(late), deepest=max(late, default=0),
                  rerouted=home["reroute"], home=str(home), there=str(there))
        self.assertGreater(home["reroute"], sent * 0.1)
        self.assertLessEqual(len(late), sent * 0.005)  # 0.01 to 0.15 % on two busy cores
        return received / sent

    def test_two_links_carry_what_both_can(self) -> None:
        """95 % of both: nine of ten runs of eight seconds, the tenth lacks a little of it."""
        share = self.share_of_both()
        self.assertGreaterEqual(share, 0.9)
        if share < 0.95:
            self.assertGreaterEqual(self.share_of_both(), 0.95)

    def share_of_both(self) -> float:
        treatment = TwoLinks(None)
        with self.lab(Later(), listeners=False, rate=f"{RATE}mbit") as lab:
            second = add_second_link(lab)
            treatment.start(lab)
            traffic = Traffic(lab, TrafficOptions(flows=FLOWS))
            traffic.prepare()
            lab.settle()
            second.command("go")
            traffic.start(lab.link.command("go")["time_ns"], [(0, WARMUP_S + SECONDS)])
            time.sleep(WARMUP_S)
            before = [wire_bytes_sent(link) for link in (lab.link, second)]
            tcp_before, begin = tcp_counters(lab.source), time.monotonic()
            time.sleep(SECONDS)
            after = [wire_bytes_sent(link) for link in (lab.link, second)]
            tcp, seconds = tcp_counters(lab.source), time.monotonic() - begin
            traffic.check()
            traffic.stop()
            lab.mute_source()
            lab.wait_quiet(0.3)
            status = treatment.status(lab)  # nothing moves: both ports' counters speak of the same frames
            second.stop()
        mbit = [(b - a) * 8 / seconds / 1e6 for a, b in zip(before, after)]
        segments = tcp["TcpOutSegs"] - tcp_before["TcpOutSegs"]
        spurious = (tcp["TcpExtTCPDSACKRecv"] - tcp_before["TcpExtTCPDSACKRecv"]) / segments
        reordered = sum(tcp[k] - tcp_before[k] for k in ("TcpExtTCPSACKReorder", "TcpExtTCPTSReorder")) / segments
        home, there = classes(status, "wan"), classes(status, "lte")
        self.note(first_mbit=mbit[0], second_mbit=mbit[1], share=sum(mbit) / (2 * RATE), segments=segments,
                  spurious=spurious, reordered=reordered, home=str(home), there=str(there))
        self.assertGreater(home["reroute"], 0)
        self.assertEqual(home["reroute"], there["taken_over"])
        self.assertLess(spurious, 0.005, "retransmissions that only an overtaking caused")
        return sum(mbit) / (2 * RATE)


class Later:
    """The daemon comes when both links are there."""

    name = "later"

    def start(self, lab: Lab) -> None:
        pass
