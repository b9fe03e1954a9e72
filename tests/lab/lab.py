#!/usr/bin/env python3
"""source - router - sink: three network namespaces, a fast veth and a slow link behind a TAP device.

As a module: class Lab. As a program: `lab.py run` measures one scene under one treatment.
"""
from __future__ import annotations

import atexit
import json
import os
import secrets
import shutil
import signal
import socket
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from netns import LabError, Process, enter_private_mounts, ip_batch, run

SOURCE_IP, ROUTER_LAN_IP = "10.77.1.2", "10.77.1.1"
SINK_IP, ROUTER_WAN_IP = "10.77.2.2", "10.77.2.1"
SOURCE_IP6, ROUTER_LAN_IP6 = "fd77:1::2", "fd77:1::1"
SINK_IP6, ROUTER_WAN_IP6 = "fd77:2::2", "fd77:2::1"
SOURCE_MAC, ROUTER_LAN_MAC = "02:77:00:00:01:02", "02:77:00:00:01:01"
SINK_MAC, ROUTER_WAN_MAC = "02:77:00:00:02:02", "02:77:00:00:02:01"

SYSCTLS = [
    "net.ipv6.conf.all.router_solicitations=0", "net.ipv6.conf.default.router_solicitations=0",
    "net.ipv6.conf.all.accept_ra=0", "net.ipv6.conf.default.accept_ra=0",
    "net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.default.accept_dad=0",
    # Multicast reports at once: none may wander through a measurement.
    "net.ipv6.conf.default.mldv2_unsolicited_report_interval=1",
    "net.ipv4.igmp_qrv=1", "net.ipv4.conf.default.igmpv3_unsolicited_report_interval=1",
    "net.ipv4.tcp_no_metrics_save=1", "net.ipv4.ping_group_range=0 0",
    "net.ipv4.tcp_rmem=4096 131072 67108864", "net.ipv4.tcp_wmem=4096 65536 67108864",
]
ROUTER_SYSCTLS = ["net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", "net.ipv4.conf.all.rp_filter=0",
                  "net.ipv4.conf.all.send_redirects=0"]


@dataclass
class LabOptions:
    """The slow link and where the lab's programs are. Rates are those of the wire, framing included."""

    bin_dir: Path
    rate: str = "50mbit"
    schedule: str = ""  # later rates: "7s:25mbit"
    ring: int = 1000  # descriptors of the slow port's TX ring
    rtt_ms: float = 20  # propagation there and back
    queues: int = 1
    cpu_per_queue: bool = False  # of the fast port, which has as many then: what RSS does
    windows: list[tuple[float, float]] = field(default_factory=list)  # slowlink statistics, seconds after go
    slowlink_options: list[str] = field(default_factory=list)  # see slowlink --help
    ecn: bool = False
    router_gro: bool = True  # GRO at the router's fast port; XDP needs it for redirects into the veth


def find_binary(bin_dir: Path, name: str) -> str:
    """The executable `name` below the build directory."""
    for path in [bin_dir / name, bin_dir / "tests/lab" / name, *sorted(bin_dir.rglob(name))]:
        if path.is_file() and os.access(path, os.X_OK):
            return str(path.resolve())
    raise LabError(f"no executable {name} below {bin_dir} (build first, or give --bin-dir)")


def kernel_threads(prefix: str) -> set[int]:
    """The thread ids of those whose names begin so."""
    found = set()
    for comm in Path("/proc").glob("[0-9]*/comm"):
        try:
            if comm.read_text().startswith(prefix):
                found.add(int(comm.parent.name))
        except OSError:  # it ended meanwhile
            continue
    return found


class SlowLink:
    """The running link emulator: its control socket and, after stop(), its report."""

    def __init__(self, process: Process, control: Path, report: Path) -> None:
        self.process, self._report = process, report
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(5)
        self._socket.connect(str(control))

    def command(self, text: str) -> dict:
        """go | stats | pause | resume | rate 50mbit; the reply as a dictionary."""
        self._socket.send(text.encode())
        reply = json.loads(self._socket.recv(1 << 16))
        if "error" in reply:
            raise LabError(f"slowlink: {text}: {reply['error']}")
        return reply

    def close(self) -> None:
        self._socket.close()

    def stop(self) -> dict:
        self.close()
        self.process.stop()
        if not self._report.exists():
            raise LabError(f"slowlink left no report: {self.process.messages()}")
        return json.loads(self._report.read_text())


class Lab:
    """`with Lab(options) as lab:` three namespaces up and quiet, the link running; nothing is left afterwards."""

    def __init__(self, options: LabOptions) -> None:
        self.options = options
        suffix = secrets.token_hex(3)
        self.source, self.router, self.sink = (f"{role}-{suffix}" for role in ("source", "router", "sink"))
        self.source_device, self.lan, self.wan, self.sink_device = "src0", "lan0", "wan0", "dst0"
        self.pins = Path("/sys/fs/bpf", suffix)  # for one sluiced at a time
        self._processes: list[Process] = []
        self.link: SlowLink | None = None
        self._up = False

    def __enter__(self) -> Lab:
        enter_private_mounts()
        self.folder = Path(tempfile.mkdtemp(prefix="sluice-lab-"))
        atexit.register(self.close)
        self._up = True
        try:
            self._make_namespaces()
            self._make_fast_side()
            self.link = self._start_link()
            self._make_slow_side()
            self._make_neighbours()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Idempotent; also called at interpreter exit."""
        if not self._up:
            return
        self._up = False
        if self.link:
            self.link.close()
        for process in reversed(self._processes):
            process.kill()
        for namespace in (self.source, self.router, self.sink):
            if Path("/run/netns", namespace).exists():
                run(["ip", "netns", "del", namespace])
        shutil.rmtree(self.pins, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        atexit.unregister(self.close)

    def spawn(self, name: str, namespace: str, argv: list[str]) -> Process:
        process = Process(name, namespace, argv, self.folder)
        self._processes.append(process)
        return process

    def binary(self, name: str) -> str:
        return find_binary(self.options.bin_dir, name)

    def _make_namespaces(self) -> None:
        for namespace in (self.source, self.router, self.sink):
            run(["ip", "netns", "add", namespace])
            extra = ROUTER_SYSCTLS if namespace == self.router else []
            ecn = [f"net.ipv4.tcp_ecn={1 if self.options.ecn else 0}"]
            run(["sysctl", "-q", "-w", *SYSCTLS, *extra, *ecn], namespace)
            ip_batch(namespace, ["link set lo up"])

    def _make_fast_side(self) -> None:
        count = self.options.queues if self.options.cpu_per_queue else 1
        queues = f"numtxqueues {count} numrxqueues {count}"
        ip_batch(self.router, [
            f"link add {self.lan} {queues} address {ROUTER_LAN_MAC} type veth peer name {self.source_device} {queues} "
            f"address {SOURCE_MAC} netns {self.source}"])
        run(["ethtool", "-K", self.lan, "gro", "on" if self.options.router_gro else "off"], self.router)
        run(["ethtool", "-K", self.source_device, "gro", "on", "tx", "off", "tso", "off", "gso", "off"], self.source)
        for namespace, device in ((self.router, self.lan), (self.source, self.source_device)):
            ip_batch(namespace, [f"link set {device} addrgenmode none"])  # no link-local address: no chatter
        ip_batch(self.router, [f"addr add {ROUTER_LAN_IP}/24 dev {self.lan}",
                               f"addr add {ROUTER_LAN_IP6}/64 dev {self.lan} nodad", f"link set {self.lan} up"])
        ip_batch(self.source, [f"addr add {SOURCE_IP}/24 dev {self.source_device}",
                               f"addr add {SOURCE_IP6}/64 dev {self.source_device} nodad",
                               f"link set {self.source_device} up", f"route add default via {ROUTER_LAN_IP}",
                               f"route add default via {ROUTER_LAN_IP6}"])
        if self.options.cpu_per_queue:
            self._give_each_queue_a_cpu()

    def _give_each_queue_a_cpu(self) -> None:
        """Without it the CPU that sends is the one that forwards, and the scheduler may choose one CPU for all flows."""
        before = kernel_threads(f"napi/{self.lan}-")
        run(["ip", "netns", "exec", self.router, "tee", f"/sys/class/net/{self.lan}/threaded"], text="1")
        threads = sorted(kernel_threads(f"napi/{self.lan}-") - before)
        cpus = sorted(os.sched_getaffinity(0))
        for number, thread in enumerate(threads):
            os.sched_setaffinity(thread, {cpus[number % len(cpus)]})

    def _start_link(self) -> SlowLink:
        options = self.options
        control, report = self.folder / "slowlink.sock", self.folder / "slowlink.json"
        argv = [self.binary("slowlink"), "--tap", self.wan, "--sink-tap", self.sink_device,
                "--sink-netns", f"/run/netns/{self.sink}", "--queues", str(options.queues), "--rate", options.rate,
                "--delay-ms", str(options.rtt_ms / 2), *options.slowlink_options,
                "--source-netns", f"/run/netns/{self.source}", "--source-device", self.source_device,
                "--source-ip", SOURCE_IP, "--source-ip6", SOURCE_IP6, "--source-mac", SOURCE_MAC,
                "--control", str(control), "--json", str(report)]
        if options.schedule:
            argv += ["--schedule", options.schedule]
        for begin, end in options.windows:
            argv += ["--window", f"{begin}:{end}"]
        process = self.spawn("slowlink", self.router, argv)
        process.wait_ready()
        return SlowLink(process, control, report)

    def _make_slow_side(self) -> None:
        for namespace, device in ((self.router, self.wan), (self.sink, self.sink_device)):
            run(["ethtool", "-K", device, "tx", "off", "tso", "off", "gso", "off"], namespace)
            ip_batch(namespace, [f"link set {device} addrgenmode none"])
        ip_batch(self.router, [f"link set {self.wan} address {ROUTER_WAN_MAC} txqueuelen {self.options.ring}",
                               f"addr add {ROUTER_WAN_IP}/24 dev {self.wan}",
                               f"addr add {ROUTER_WAN_IP6}/64 dev {self.wan} nodad", f"link set {self.wan} up"])
        ip_batch(self.sink, [f"link set {self.sink_device} address {SINK_MAC} txqueuelen 10000",
                             f"addr add {SINK_IP}/24 dev {self.sink_device}",
                             f"addr add {SINK_IP6}/64 dev {self.sink_device} nodad", f"link set {self.sink_device} up",
                             f"route add default via {ROUTER_WAN_IP}", f"route add default via {ROUTER_WAN_IP6}"])

    def _make_neighbours(self) -> None:
        def pair(device: str, ip: str, ip6: str, mac: str) -> list[str]:
            return [f"neigh replace {address} lladdr {mac} dev {device} nud permanent" for address in (ip, ip6)]

        ip_batch(self.source, pair(self.source_device, ROUTER_LAN_IP, ROUTER_LAN_IP6, ROUTER_LAN_MAC))
        ip_batch(self.sink, pair(self.sink_device, ROUTER_WAN_IP, ROUTER_WAN_IP6, ROUTER_WAN_MAC))
        ip_batch(self.router, pair(self.lan, SOURCE_IP, SOURCE_IP6, SOURCE_MAC) +
                 pair(self.wan, SINK_IP, SINK_IP6, SINK_MAC))

    def device_counters(self, namespace: str, device: str) -> dict[str, int]:
        """rx_packets, tx_packets, rx_dropped, tx_dropped ... as the kernel counts them."""
        stats = json.loads(run(["ip", "-s", "-j", "link", "show", device], namespace))[0]["stats64"]
        return {f"{side}_{key}": value for side in ("rx", "tx") for key, value in stats[side].items()}

    def mute_source(self) -> None:
        """No frame leaves the source any more: sockets of killed programs would retransmit for minutes."""
        ip_batch(self.source, [f"route add blackhole {SINK_IP}/32", f"route add blackhole {SINK_IP6}/128"])

    def unmute_source(self) -> None:
        """Undoes mute_source()."""
        ip_batch(self.source, [f"route del blackhole {SINK_IP}/32", f"route del blackhole {SINK_IP6}/128"])

    def restore_slow_side(self) -> None:
        """What the router's stack forgot when its slow port went down: the IPv6 address and the neighbours."""
        ip_batch(self.router, [f"addr replace {ROUTER_WAN_IP6}/64 dev {self.wan} nodad"])
        self._make_neighbours()

    def settle(self) -> None:
        """Until the source's only frames of its own, two MLD reports about half a second after link-up, are past."""
        end = time.monotonic() + 2
        while self.received_multicast() < 2 and time.monotonic() < end:
            time.sleep(0.05)
        self.wait_quiet(0.2)

    def received_multicast(self) -> int:
        """IPv6 multicast frames that arrived at the router's fast port; its stack keeps them."""
        rows = run(["cat", f"/proc/net/dev_snmp6/{self.lan}"], self.router).splitlines()
        return int(dict(row.split() for row in rows)["Ip6InMcastPkts"])

    def wait_quiet(self, quiet_s: float = 0.3, timeout_s: float = 8) -> bool:
        """Until the source has sent nothing for `quiet_s` and the ring is empty; False = still busy at timeout."""
        end = time.monotonic() + timeout_s
        before: tuple[int, int] | None = None
        while time.monotonic() < end:
            sent = self.device_counters(self.router, self.lan)["rx_packets"]
            served = self.link.command("stats")["forward"]["received"]
            if before == (sent, served):
                return True
            before = (sent, served)
            time.sleep(quiet_s)
        return False


def exit_on_signals() -> None:
    """Turns termination into an exception, so that every `with` block cleans up."""
    def leave(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, leave)


if __name__ == "__main__":
    import cli  # the program is a user of the module, not part of it

    raise SystemExit(cli.main())
