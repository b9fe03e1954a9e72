"""Traffic of a scene: TCP flows both ways (iperf3), short ones (short_flows), a UDP flood and a sparse UDP probe (both udp_probe)."""
from __future__ import annotations

import json
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from lab import SINK_IP, SINK_IP6, Lab
from netns import LabError, Process
from treatments import rate_bits

FIRST_TCP_SERVER = 5201
FIRST_TCP_SOURCE = 20000  # data flow number i leaves from this port + i; iperf3's control flows do not
FIRST_REVERSE_SOURCE = 21000  # likewise, of flows from the sink
PROBE_PORT, FLOOD_PORT, FLOOD_SOURCE_PORT = 7, 9, 30000
REVERSE_PORT, SHORT_PORT = 5301, 5302
SHORT_FLOWS = Path(__file__).with_name("short_flows.py")


@dataclass
class TrafficOptions:
    flows: int = 4
    congestion_controls: list[str] = field(default_factory=lambda: ["cubic"])  # dealt round robin to the flows
    flood_rate: str = ""  # on the wire; empty = no flood
    flood_frame: int = 1242
    flood_after_s: float = 1.0  # TCP connections are up by then
    reverse_flows: int = 0
    reverse_rate: str = ""  # of all reverse flows together
    short_flows_per_s: float = 0  # in the mean
    short_flow_bytes: int = 64 * 1024
    probe: bool = True
    probe_interval_ms: float = 5
    ipv6: bool = False
    first_source: int = FIRST_TCP_SOURCE  # ports of killed clients are taken for a while


class Traffic:
    """start() begins all at time zero of the link; stop() ends all within moments and returns the probe's report."""

    def __init__(self, lab: Lab, options: TrafficOptions) -> None:
        self._lab, self._options = lab, options
        self._target = SINK_IP6 if options.ipv6 else SINK_IP
        self._servers: list[Process] = []
        self._clients: list[Process] = []
        self._probe: Process | None = None
        self._flood: Process | None = None
        self._short: Process | None = None

    def groups(self) -> list[tuple[str, list[int]]]:
        """(congestion control, source ports): one iperf3 each."""
        kinds = self._options.congestion_controls
        dealt: dict[str, int] = {}
        for i in range(self._options.flows):
            dealt[kinds[i % len(kinds)]] = dealt.get(kinds[i % len(kinds)], 0) + 1
        groups, port = [], self._options.first_source
        for kind, count in dealt.items():
            groups.append((kind, list(range(port, port + count))))
            port += count
        return groups

    def prepare(self) -> None:
        """Servers, before the baseline of the counters is taken."""
        for i in range(len(self.groups())):
            server = self._lab.spawn(f"iperf3-server-{i}", self._lab.sink,
                                     ["iperf3", "-s", "-p", str(FIRST_TCP_SERVER + i), "--forceflush"])
            self._servers.append(server)
        if self._options.reverse_flows:
            self._servers.append(self._lab.spawn("iperf3-server-reverse", self._lab.sink,
                                                 ["iperf3", "-s", "-p", str(REVERSE_PORT), "--forceflush"]))
        if self._options.short_flows_per_s:
            self._lab.spawn("short-sink", self._lab.sink,
                            [sys.executable, "-B", str(SHORT_FLOWS), "sink", str(SHORT_PORT)]).wait_ready()
        for kind, port in (("echo", PROBE_PORT), ("discard", FLOOD_PORT)):
            self._lab.spawn(kind, self._lab.sink,
                            [self._lab.binary("udp_probe"), kind, "--port", str(port)]).wait_ready()
        time.sleep(0.2)  # iperf3 says nothing when it listens

    def start(self, go_ns: int, windows: list[tuple[float, float]]) -> None:
        probe = self._lab.binary("udp_probe")
        if self._options.probe:
            spans = [word for begin, end in windows for word in ("--window", f"{begin}:{end}")]
            self._probe = self._lab.spawn("probe", self._lab.source, [
                probe, "ping", "--to", self._target, "--port", str(PROBE_PORT), "--go-ns", str(go_ns),
                "--interval-ms", str(self._options.probe_interval_ms), *spans])
        for i, (kind, ports) in enumerate(self.groups()):
            self._clients.append(self._lab.spawn(f"iperf3-{i}-{kind}", self._lab.source, [
                "iperf3", "-c", self._target, "-p", str(FIRST_TCP_SERVER + i), "-C", kind, "-P", str(len(ports)),
                "--cport", str(ports[0]), "-t", "3600"]))
        if self._options.reverse_flows:
            each = int(rate_bits(self._options.reverse_rate) / self._options.reverse_flows)
            self._clients.append(self._lab.spawn("iperf3-reverse", self._lab.source, [
                "iperf3", "-c", self._target, "-p", str(REVERSE_PORT), "-R", "-P", str(self._options.reverse_flows),
                "-b", str(each), "--cport", str(FIRST_REVERSE_SOURCE), "-t", "3600"]))
        if self._options.short_flows_per_s:
            begin, end = windows[0]
            self._short = self._lab.spawn("short-source", self._lab.source, [
                sys.executable, "-B", str(SHORT_FLOWS), "source", self._target, str(SHORT_PORT), str(go_ns), str(begin),
                str(end), str(self._options.short_flows_per_s), str(self._options.short_flow_bytes)])
        if self._options.flood_rate:
            time.sleep(self._options.flood_after_s)
            self._flood = self._lab.spawn("flood", self._lab.source, [
                probe, "flood", "--to", self._target, "--port", str(FLOOD_PORT), "--source-port",
                str(FLOOD_SOURCE_PORT), "--rate", self._options.flood_rate, "--frame", str(self._options.flood_frame)])

    def check(self) -> None:
        """A client that ended has no flow any more: the run is void."""
        for client in self._clients:
            if not client.alive():
                raise LabError(f"{client.name} ended early: {client.messages()[-500:]}")

    def stop(self) -> dict:
        self.check()
        for process in (self._probe, self._flood, self._short):
            if process:
                process.signal(signal.SIGTERM)
        # Killed receivers answer with RST, so that megabytes of unsent socket buffers do not trickle on.
        for process in self._servers + self._clients:
            process.kill()
        if self._flood:
            self._flood.stop()
        if not self._probe:
            return {}
        self._probe.stop()
        return json.loads(self._probe.output())

    def short_flows(self) -> dict | None:
        """After stop(): how long they took, see short_flows.py."""
        if not self._short:
            return None
        self._short.stop()
        return json.loads(self._short.output())
