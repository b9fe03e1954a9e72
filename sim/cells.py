"""The matrix: what is simulated, and what a cell is there to show."""
from __future__ import annotations

from dataclasses import dataclass, field

REAL = ("codel", "pie", "fq_codel", "fq_cobalt")
DISCS = ("fifo", *REAL, "sluice")
NAMES = {"fifo": "FIFO ring", "codel": "CoDel", "pie": "PIE", "fq_codel": "FqCoDel", "fq_cobalt": "FqCobalt",
         "sluice": "sluice", "sluice-rate": "sluice, rate given", "sluice-pi2": "sluice, PI2",
         "fq_codel-tuned": "FqCoDel, tuned"}


@dataclass(frozen=True)
class Cell:
    name: str
    title: str
    options: dict[str, object]
    about: str = ""
    tuned_ms: tuple[float, float] | None = None  # target and interval for the extra run "fq_codel-tuned"
    discs: tuple[str, ...] = field(default=DISCS)

    def command(self, disc: str) -> list[str]:
        options = dict(self.options)
        if disc == "fq_codel-tuned" and self.tuned_ms:
            options |= {"target": self.tuned_ms[0], "interval": self.tuned_ms[1]}
        words = ["--disc", disc.removesuffix("-tuned")]
        for key, value in options.items():
            words += [f"--{key}"] if value is True else [f"--{key}", str(value)]
        return words

    def conditions(self) -> str:
        o = self.options
        parts = [f"{speed(o.get('fast', 10e9))} → {speed(o.get('slow', 1e9))}", f"TX ring {o.get('ring', 1024)}",
                 f"RTT {o.get('rtt', 10)} ms", f"{o.get('flows', 8)} long flows, {o.get('cc', 'cubic')}"]
        if o.get("web"):
            parts.append(f"short flows at {o['web'] * 100:.0f} % load")
        if o.get("incast"):
            parts.append(f"{o['incast']} senders of {o.get('incast-bytes', 65536) // 1024} KiB "
                         f"each {o.get('incast-period', 0.02) * 1000:g} ms")
        if o.get("flood"):
            parts.append(f"UDP flood of {o['flood']} × the link")
        if o.get("ecn"):
            parts.append("ECN")
        if o.get("tick"):
            parts.append(f"a tick each {o['tick'] / 1000:g} ms")
        return ", ".join(parts) + f"; {o['duration']:g} s after {o['warmup']:g} s"


def speed(bps: float) -> str:
    return f"{bps / 1e9:g}G"


EDGE = {"fast": 10e9, "slow": 1e9}
CENTRE = {"fast": 100e9, "slow": 10e9}

QUICK = [
    Cell("edge-8", "Eight flows at 1 Gbit/s", EDGE | {"ring": 1024, "rtt": 10, "flows": 8, "warmup": 1, "duration": 2},
         "The common case: a ring of 12 ms, an RTT of 10 ms."),
    Cell("edge-long", "Two flows with a long RTT and a short ring",
         EDGE | {"ring": 512, "rtt": 40, "flows": 2, "hosts": 2, "warmup": 1.5, "duration": 2.5},
         "A ring of 6 ms cannot hold what two flows of 40 ms want to keep waiting."),
    Cell("edge-mixed", "Cubic and Reno, RTTs of 5, 20 and 60 ms",
         EDGE | {"ring": 1024, "rtt": "5,20,60", "cc": "cubic,reno", "flows": 12, "hosts": 6, "warmup": 1.5,
                 "duration": 2}),
    Cell("edge-many", "200 flows at 1 Gbit/s",
         EDGE | {"ring": 1024, "rtt": 20, "flows": 200, "warmup": 1, "duration": 1.5}),
    Cell("centre-16", "16 flows at 10 Gbit/s",
         CENTRE | {"ring": 1024, "rtt": 1, "flows": 16, "warmup": 0.08, "duration": 0.12, "probe": 0.0002},
         "The ring holds 1.2 ms; the loop ticks each 0.5 ms.", tuned_ms=(0.1, 2)),
    Cell("web", "Short flows beside two long ones",
         EDGE | {"ring": 1024, "rtt": 10, "flows": 2, "web": 0.5, "warmup": 0.5, "duration": 2},
         "Bounded Pareto sizes, 4 kB to 20 MB; completion times count from SYN to last byte."),
    Cell("incast", "Incast at 10 Gbit/s",
         CENTRE | {"ring": 512, "rtt": 0.1, "flows": 0, "incast": 64, "incast-bytes": 65536, "incast-period": 0.04,
                   "warmup": 0.001, "duration": 0.4, "probe": 0.0005},
         "Nobody reacts within a burst; only room helps. A loss costs 200 ms (Linux' smallest RTO)."),
    Cell("flood", "A flood that does not care",
         EDGE | {"ring": 1024, "rtt": 10, "flows": 8, "flood": 1.5, "warmup": 0.6, "duration": 1}),
]


def rates(step_s: float, mbit: list[float]) -> str:
    """From second 4 on, a new rate each `step_s`."""
    return ",".join(f"{4 + i * step_s:g}:{rate:g}e6" for i, rate in enumerate(mbit))


UPLINK = {"fast": 1e9, "slow": 50e6, "ring": 1000, "rtt": 20, "hosts": 2, "probe": 0.005, "warmup": 4, "duration": 16}
# Shaped after the uplink of a moving LTE terminal: changes by up to a factor of three, twice a second.
LTE = [30, 42, 25, 55, 60, 35, 20, 28, 45, 70, 52, 33, 18, 24, 40, 58, 64, 48, 30, 22, 36, 50, 66, 44, 27, 19, 31, 47, 62, 53, 38, 26]
TRACES = {
    "fixed": ("A link of 50 Mbit/s whose rate nobody told", ""),
    "down": ("The link halves", "8:25e6"),
    "up": ("The link doubles", "8:100e6"),
    "ramp": ("The rate grows from 20 to 98 Mbit/s", rates(0.4, [20 + 2 * i for i in range(40)])),
    "sawtooth": ("The rate falls in steps and jumps back, each 3 s", rates(0.5, [50, 44, 38, 32, 26, 20] * 5)),
    "lte": ("The rate of a moving LTE terminal", rates(0.5, LTE)),
}


def _autorate() -> list[Cell]:
    return [Cell(f"rate-{name}-{flows}", f"{title}, {flows} flows", UPLINK | {"flows": flows} | ({"rates": trace} if trace else {}),
                 "sluice is told no rate; the real queue sits where the link is and needs none.",
                 discs=("fifo", "fq_codel", "sluice"))
            for name, (title, trace) in TRACES.items() for flows in (4, 16)]


def _stalls() -> list[Cell]:
    """A controller that is late, or gone: what admission and the guard of the ring do alone."""
    late = {"tick-10ms": {"tick": 10_000}, "tick-100ms": {"tick": 100_000}, "tick-1s": {"tick": 1_000_000},
            "stopped-1s-thrice": {"stall": "6:7,9:10,12:13"}, "stopped": {"stall": "6:20"},
            "stopped-flood": {"stall": "6:20", "flood": 1.5}}
    return [Cell(f"loop-{name}", f"The control loop: {name}", UPLINK | {"flows": 4} | options, discs=("fifo", "fq_codel", "sluice"))
            for name, options in late.items()]


def _full() -> list[Cell]:
    discs = (*DISCS, "sluice-rate")
    cells = []
    for ring in (512, 1024, 4096):
        for rtt, warmup, duration in ((1, 1, 3), (10, 2, 4), (100, 10, 10)):
            for flows in (2, 8, 100):
                cells.append(Cell(f"edge-r{ring}-{rtt}ms-{flows}", f"10G → 1G, ring {ring}, {rtt} ms, {flows} flows",
                                  EDGE | {"ring": ring, "rtt": rtt, "flows": flows, "warmup": warmup,
                                          "duration": duration}, discs=discs))
    for ring in (512, 2048, 4096):
        for rtt, warmup, duration in ((0.1, 0.1, 0.2), (1, 0.2, 0.4), (10, 1, 1)):
            for flows in (2, 16, 100):
                cells.append(Cell(f"centre-r{ring}-{rtt}ms-{flows}", f"100G → 10G, ring {ring}, {rtt} ms, {flows} flows",
                                  CENTRE | {"ring": ring, "rtt": rtt, "flows": flows, "warmup": warmup,
                                            "duration": duration, "probe": 0.0005}, discs=discs))
    cells += [
        Cell("edge-1000", "1,000 flows at 1 Gbit/s",
             EDGE | {"ring": 4096, "rtt": 20, "flows": 1000, "hosts": 8, "warmup": 2, "duration": 3}, discs=discs),
        Cell("centre-1000", "1,000 flows at 10 Gbit/s",
             CENTRE | {"ring": 4096, "rtt": 1, "flows": 1000, "hosts": 8, "warmup": 0.2, "duration": 0.3,
                       "probe": 0.0005}, discs=discs),
        Cell("edge-ecn", "ECN: eight flows at 1 Gbit/s",
             EDGE | {"ring": 1024, "rtt": 10, "flows": 8, "ecn": True, "warmup": 2, "duration": 4}, discs=discs),
        Cell("web-80", "Short flows at 80 % load",
             EDGE | {"ring": 1024, "rtt": 10, "flows": 1, "web": 0.8, "warmup": 0.5, "duration": 6}, discs=discs),
        Cell("incast-4096", "Incast into a long ring",
             CENTRE | {"ring": 4096, "rtt": 0.1, "flows": 0, "incast": 64, "incast-bytes": 65536,
                       "incast-period": 0.04, "warmup": 0.001, "duration": 1, "probe": 0.0005}, discs=discs),
    ]
    return QUICK + cells + _autorate() + _stalls()


FULL = _full()
