#!/usr/bin/env python3
"""The same link and traffic under sluice and under what the kernel has, each scene in a guest with virtual time:

    peers.py [--kernel 6.1] [--scene NAME...] [--peer NAME...] [--seconds 8] [--jobs 2] [--quick] [--json FILE]

prints a table. It takes some minutes per scene; how busy the machine is cannot be seen in the figures.
"""
from __future__ import annotations

import argparse
import json
import re
import shlex
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from guest import HERE, Guest, GuestError
from initrd import Initrd
from vm_test import KERNELS, REPOSITORY, find_program

PROGRAMS = ("sluiced", "sluicectl", "slowlink", "plain_redirect", "udp_probe")
MODULES = ("tun", "veth", "sch_ingress", "cls_bpf", "sch_htb", "sch_cake", "tcp_bbr")
QUICK = ("4 TCP", "UDP flood")
TIMEOUT_S = 3600


def scenes() -> list[str]:
    """Their names, without importing what needs a guest."""
    text = (HERE / "peers_guest.py").read_text()
    return re.findall(r'Scene\("([^"]+)"', text)


def run_scene(kernel: str, scene: str, seconds: float, peers: list[str]) -> list[dict]:
    initrd = Initrd()
    initrd.add_system()
    for name in PROGRAMS:
        initrd.add_program(find_program(name), f"sluice/build/{name}")
    initrd.add_tree(REPOSITORY / "tests/lab", "sluice/tests/lab", {"__pycache__"})
    initrd.add_file(HERE / "peers_guest.py", "sluice/tests/vm/peers_guest.py")
    guest = Guest(KERNELS / kernel, initrd, MODULES, virtual_time=True)
    words = shlex.join([scene, str(seconds), *peers])
    result = guest.run(f"python3 tests/vm/peers_guest.py {words}", TIMEOUT_S)
    rows = [json.loads(line) for line in result.output.splitlines() if line.startswith("{")]
    if not rows:
        raise GuestError(f"scene {scene} left no figures: {result.output[-2000:]}{result.console[-1000:]}")
    print(f"{scene}: {result.wall_s:.0f} s", file=sys.stderr, flush=True)
    return rows


def besides(row: dict) -> str:
    if row.get("reverse_mbit"):
        return f"{row['reverse_mbit']:.1f} Mbit/s back"
    if short := row.get("short_flows"):
        times = f", {short['ms_p50']:.0f} / {short['ms_p90']:.0f} / {short['ms_p99']:.0f} ms" if short["ended"] else ""
        return f"{short['ended']} of {short['begun']} short flows{times}"
    return ""


def table(rows: list[dict]) -> str:
    lines = ["| scene | | goodput Mbit/s | Jain | queueing delay p50 / p99 ms | sparse flow p99 ms | its loss | TCP share | besides |",
             "|---|---|---|---|---|---|---|---|---|"]
    last = ""
    for row in rows:
        scene, last = ("" if row["scene"] == last else row["scene"]), row["scene"]
        if "error" in row:
            lines.append(f"| {scene} | {row['peer']} | failed: {row['error'].splitlines()[0][:80]} | | | | | | |")
            continue
        sparse = row["probe_rtt_ms_p99"]
        delay = "–" if sparse is None else f"{sparse - row['base_rtt_ms']:.2f}"
        lines.append(
            f"| {scene} | {row['peer']} | {row['goodput_mbit']:.1f} | {row['jain']:.3f} | {row['delay_ms_p50']:.1f} / "
            f"{row['delay_ms_p99']:.1f} | {delay} | "
            f"{row['probe_loss'] * 100:.1f} % | {row['tcp_share'] * 100:.0f} % | {besides(row)} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kernel", default="6.1")
    parser.add_argument("--scene", action="append", choices=scenes())
    parser.add_argument("--peer", action="append", default=[], help="only this one, e.g. sluice; default: all")
    parser.add_argument("--seconds", type=float, default=8, help="measured time of each run, virtual")
    parser.add_argument("--jobs", type=int, default=2, help="guests at a time")
    parser.add_argument("--quick", action="store_true", help=f"only {', '.join(QUICK)}")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    names = args.scene or (list(QUICK) if args.quick else scenes())
    with ThreadPoolExecutor(args.jobs) as pool:
        rows = sum(pool.map(lambda name: run_scene(args.kernel, name, args.seconds, args.peer), names), [])
    print(table(rows))
    if args.json:
        args.json.write_text(json.dumps({"kernel": args.kernel, "rows": rows}, indent=1))
    return 1 if any("error" in row for row in rows) else 0


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except GuestError as error:
        raise SystemExit(f"peers: {error}") from None
