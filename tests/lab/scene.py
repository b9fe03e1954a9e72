"""Scenes: which traffic, which link; and the measurement of one scene under one treatment."""
from __future__ import annotations

import fcntl
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Iterator

import results
from lab import Lab, LabOptions
from machine import CpuTimes
from traffic import Traffic, TrafficOptions
from treatments import Account, Kernel, Policer, Raw, Sluice, Treatment, rate_bits

Progress = Callable[[str], None]
# What else happens while traffic flows: gets the lab and a function that sleeps until t seconds after the start.
Interference = Callable[[Lab, Callable[[float], None]], None]


@dataclass
class Scene:
    """One experiment. Times: warm-up, then `seconds` that are measured; what happens in the warm-up is plotted only."""

    name: str
    rate: str = "50mbit"
    ring: int = 1000
    rtt_ms: float = 20
    flows: int = 4
    congestion_controls: list[str] = field(default_factory=lambda: ["cubic"])
    flood_ratio: float = 0  # of the link's rate; 0 = no flood
    step: float = 0  # the rate is multiplied by this at half of the measured time; 0 = no step
    policy_rate: bool = True  # sluice is told the rate
    seconds: float = 12
    warmup: float = 2
    ipv6: bool = False
    ecn: bool = False
    queues: int = 1  # of the slow port; more than one: flows are spread over as many CPUs
    pfifo: int = 100
    probe_interval_ms: float = 5
    slowlink_options: list[str] = field(default_factory=list)  # see slowlink --help
    router_gro: bool = True  # super frames are counted once by a qdisc that drops them
    reverse_flows: int = 0  # TCP from the sink, together at the link's rate; the way back is not limited
    short_flows_per_s: float = 0  # of 64 KiB, in the mean
    schedule: str = ""  # instead of step: "7s:25mbit,9s:50mbit", seconds of the run

    @property
    def step_s(self) -> float:
        return self.warmup + self.seconds / 2

    @property
    def end_s(self) -> float:
        return self.warmup + self.seconds

    def windows(self) -> list[tuple[float, float]]:
        return [(self.warmup, self.end_s), (self.step_s, self.end_s)]

    def link_schedule(self) -> str:
        if self.step:
            return f"{self.step_s}s:{int(rate_bits(self.rate) * self.step)}bit"
        return self.schedule

    def lab_options(self, bin_dir: Path, treatment: str) -> LabOptions:
        return LabOptions(bin_dir=bin_dir, rate=self.rate, schedule=self.link_schedule(), ring=self.ring,
                          rtt_ms=self.rtt_ms, queues=self.queues, cpu_per_queue=self.queues > 1,
                          windows=self.windows(), ecn=self.ecn, slowlink_options=self.slowlink_options, router_gro=self.router_gro and treatment != "kernel")

    def traffic_options(self) -> TrafficOptions:
        flood = f"{int(rate_bits(self.rate) * self.flood_ratio)}bit" if self.flood_ratio else ""
        return TrafficOptions(flows=self.flows, congestion_controls=self.congestion_controls, flood_rate=flood,
                              reverse_flows=self.reverse_flows, reverse_rate=self.rate,
                              short_flows_per_s=self.short_flows_per_s,
                              ipv6=self.ipv6, probe_interval_ms=self.probe_interval_ms)


SCENES = {scene.name: scene for scene in (
    Scene("tcp"),
    Scene("mixed", flows=16, congestion_controls=["cubic", "reno", "bbr"]),
    Scene("flood", flood_ratio=3),
    Scene("ratestep", step=0.5, policy_rate=False),
    Scene("rrul", reverse_flows=4),
    Scene("web", short_flows_per_s=10),
)}
DEMO = ("tcp", "mixed", "flood", "ratestep")


LINK_KEYS = ("late_mean_us", "late_max_us", "credit_ms", "cpu_s", "wakeups", "queue_frames")


def make_treatment(name: str, scene: Scene) -> Treatment:
    if name == "raw":
        return Raw()
    if name == "policer":
        return Policer(rate=scene.rate)
    if name == "kernel":
        return Kernel(rate=scene.rate, pfifo=scene.pfifo)
    return Sluice(rate=scene.rate if scene.policy_rate else None)


@dataclass
class Counters:
    """One reading of everyone's counters, taken while nothing moves."""

    received: int  # frames that entered the router's fast port
    arrived: int  # frames of the source that reached the slow link
    forwarded_by_kernel: int  # of these, sent by the router's stack
    account: Account
    devices: dict[str, int]

    @classmethod
    def read(cls, lab: Lab, treatment: Treatment) -> Counters:
        """Read between two equal readings of the devices: a multicast report of the source's own stack that falls
        between two counters would look like a frame that nobody counted."""
        for _ in range(20):
            devices = read_devices(lab)
            time.sleep(0.1)
            link, account = lab.link.command("stats"), treatment.account(lab)
            if read_devices(lab) == devices:
                break
        return cls(devices["lan_rx_packets"], link["of_source"], link["stack_frames_of_source"], account, devices)


def read_devices(lab: Lab) -> dict[str, int]:
    lan, wan = (lab.device_counters(lab.router, device) for device in (lab.lan, lab.wan))
    source = lab.device_counters(lab.source, lab.source_device)
    return {"source_tx_packets": source["tx_packets"], "source_tx_dropped": source["tx_dropped"],
            "lan_rx_packets": lan["rx_packets"], "lan_rx_dropped": lan["rx_dropped"],
            "wan_tx_packets": wan["tx_packets"], "wan_tx_dropped": wan["tx_dropped"]}


def accounting(before: Counters, after: Counters) -> dict:
    """Frames that entered the router, less those that reached the link or that somebody counted with a reason.

    Frames passed to the kernel are its business: those it forwarded have arrived and are not counted twice. Spilled ones
    are not: they arrive, or its qdisc has counted them.
    """
    account = after.account.minus(before.account)
    received, arrived = after.received - before.received, after.arrived - before.arrived
    spilled_on = account.spilled - account.spilled_lost  # each of these must have arrived
    by_kernel = min(max(after.forwarded_by_kernel - before.forwarded_by_kernel - spilled_on, 0), account.passed)
    devices = {name: n - before.devices[name] for name, n in after.devices.items()}
    return {"unexplained": received - arrived - account.lost - (account.passed - by_kernel), "received": received,
            "arrived": arrived, "forwarded_by_kernel": after.forwarded_by_kernel - before.forwarded_by_kernel,
            "verdicts": account.verdicts, "devices": devices, "status": account.status}


def sleep_with_progress(seconds: float, traffic: Traffic, progress: Progress) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        progress(f"{left:4.0f} s left")
        time.sleep(min(1.0, left))
        traffic.check()


@contextmanager
def alone(progress: Progress, patience_s: float = 120) -> Iterator[None]:
    """One measurement at a time on a machine: two would measure each other. Impatient in the end."""
    with open("/run/lock/sluice-lab", "w") as lock:
        end = time.monotonic() + patience_s
        while time.monotonic() < end:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                progress("waiting for another run")
                time.sleep(0.2)
        yield


class ReverseRate:
    """What the source has received on the wire since this was made."""

    def __init__(self, lab: Lab) -> None:
        self._lab, self._begin, self._bytes = lab, time.monotonic(), self._read(lab)

    @staticmethod
    def _read(lab: Lab) -> int:
        return lab.device_counters(lab.source, lab.source_device)["rx_bytes"]

    def mbit(self) -> float:
        return (self._read(self._lab) - self._bytes) * 8 / 1e6 / (time.monotonic() - self._begin)


def measure(scene: Scene, treatment: Treatment, bin_dir: Path, progress: Progress = lambda _: None,
            during: Interference | None = None) -> dict:
    """One run: the figures, plus everything needed to plot it under "plot"."""
    with alone(progress), Lab(scene.lab_options(bin_dir, treatment.name)) as lab:
        traffic = Traffic(lab, scene.traffic_options())
        treatment.start(lab)
        traffic.prepare()
        lab.settle()
        before = Counters.read(lab, treatment)
        begin, cpu = time.monotonic(), CpuTimes.read()
        traffic.start(lab.link.command("go")["time_ns"], scene.windows())

        def until(second: float) -> None:
            sleep_with_progress(second - (time.monotonic() - begin), traffic, progress)

        if during:
            during(lab, until)
        until(scene.warmup)
        back = ReverseRate(lab)
        until(scene.end_s)
        reverse_mbit = back.mbit() if scene.reverse_flows else None
        machine = CpuTimes.read().since(cpu)
        probe = traffic.stop()
        short = traffic.short_flows()
        lab.mute_source()
        quiet = lab.wait_quiet(0.3)
        after = Counters.read(lab, treatment)
        treatment.stop(lab)
        report = lab.link.stop()
    figures = results.link_figures(report, scene.flows, scene.flood_ratio > 0) | results.probe_figures(probe)
    if scene.step:
        figures |= results.step_figures(report, scene.step_s)
    link = {key: report[key] for key in LINK_KEYS}
    return figures | accounting(before, after) | {
        "reverse_mbit": reverse_mbit, "short_flows": short, "quiet": quiet, "link": link, "cpu": machine, "plot": results.plot_data(report, probe, scene.flows)}
