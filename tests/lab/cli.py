"""Command line of lab.py: measure one scene under one treatment, or hold a lab open to look around."""
from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

from lab import Lab, exit_on_signals
from machine import machine_facts
from netns import LabError
from scene import SCENES, Scene, make_treatment, measure
from treatments import Kernel, Policer, Sluice, Treatment

REPOSITORY = Path(__file__).resolve().parents[2]


def add_scene_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scene", choices=sorted(SCENES), default="tcp")
    parser.add_argument("--treatment", choices=["raw", "policer", "kernel", "sluice"], default="raw")
    parser.add_argument("--bin-dir", type=Path, default=REPOSITORY / "build", help="build directory")
    parser.add_argument("--rate", help="of the link, e.g. 100mbit")
    parser.add_argument("--ring", type=int, help="TX ring of the slow port, frames")
    parser.add_argument("--rtt", type=float, dest="rtt_ms", help="base RTT, ms")
    parser.add_argument("--flows", type=int, help="TCP flows")
    parser.add_argument("--cc", help="congestion controls, comma separated, dealt round robin")
    parser.add_argument("--flood", type=float, dest="flood_ratio", help="UDP flood, times the link's rate")
    parser.add_argument("--step", type=float, help="factor on the rate at half time")
    parser.add_argument("--schedule", help="rates over time instead: 7s:25mbit,9s:50mbit")
    parser.add_argument("--seconds", type=float, help="measured time, after the warm-up")
    parser.add_argument("--warmup", type=float, help="seconds before it")
    parser.add_argument("--queues", type=int, help="queues of the slow TAP")
    parser.add_argument("--probe-interval-ms", type=float)
    parser.add_argument("--slowlink-option", action="append", dest="slowlink_options",
                        help="one more argument for slowlink, e.g. --slowlink-option=--slack-us=50")
    parser.add_argument("--ipv6", action="store_true", default=None)
    parser.add_argument("--ecn", action="store_true", default=None)
    rate = parser.add_mutually_exclusive_group()
    rate.add_argument("--policy-rate", dest="policy_rate", action="store_true", default=None)
    rate.add_argument("--no-policy-rate", dest="policy_rate", action="store_false")
    parser.add_argument("--pfifo", type=int, help="kernel: packets of the pfifo below HTB")
    parser.add_argument("--share", type=float, help="kernel: HTB rate over the link's rate")
    parser.add_argument("--police", help="policer: rate of its bucket, e.g. 20mbit; default: that of the link")
    parser.add_argument("--policy", type=Path, help="sluice: policy file; LAN_DEVICE and WAN_DEVICE are replaced")
    parser.add_argument("--aqm", default="", help='sluice: aqm keys of the policy, e.g. "limit: 5ms, ecn: false"')
    parser.add_argument("--mode", default="enforce", choices=["enforce", "shadow"], help="sluice: mode of the policy")
    parser.add_argument("--sluiced", help="sluice: the daemon, default: from --bin-dir")
    parser.add_argument("--sluiced-option", action="append", default=[], help="sluice: one more argument for it")


def scene_from(args: argparse.Namespace) -> Scene:
    names = ("rate", "ring", "rtt_ms", "flows", "flood_ratio", "step", "schedule", "seconds", "warmup", "queues",
             "probe_interval_ms", "slowlink_options", "ipv6", "ecn", "policy_rate", "pfifo")
    given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    if args.cc:
        given["congestion_controls"] = args.cc.split(",")
    return replace(SCENES[args.scene], **given)


def treatment_from(args: argparse.Namespace, scene: Scene) -> Treatment:
    treatment = make_treatment(args.treatment, scene)
    if isinstance(treatment, Sluice):
        treatment.policy_file, treatment.aqm, treatment.mode = args.policy, args.aqm, args.mode
        treatment.daemon, treatment.options = args.sluiced, args.sluiced_option
    if isinstance(treatment, Policer) and args.police:
        treatment.rate = args.police
    if isinstance(treatment, Kernel) and args.share:
        treatment.share = args.share
    return treatment


def run_command(args: argparse.Namespace) -> int:
    scene = scene_from(args)
    run = measure(scene, treatment_from(args, scene), args.bin_dir,
                  lambda text: print(f"\r{text} ", end="", file=sys.stderr, flush=True))
    print("\r" + " " * 20 + "\r", end="", file=sys.stderr)
    plot = run.pop("plot")
    if args.json:
        args.json.write_text(json.dumps({"machine": machine_facts(), **run, **({"plot": plot} if args.plot else {})}))
    for key in ("status", "devices", "flow_goodput_mbit") if not args.verbose else ():
        run.pop(key)
    for key, value in run.items():
        print(f"{key:26} {round(value, 4) if isinstance(value, float) else value}")
    return 0


def shell_command(args: argparse.Namespace) -> int:
    """The lab with its treatment, and a shell in the router."""
    scene = scene_from(args)
    with Lab(scene.lab_options(args.bin_dir, args.treatment)) as lab:
        treatment = treatment_from(args, scene)
        treatment.start(lab)
        lab.link.command("go")
        print(f"router {lab.router}: {lab.lan}, {lab.wan}; source {lab.source}; sink {lab.sink}; files {lab.folder}")
        os.system(f"nsenter --net=/run/netns/{lab.router} {os.environ.get('SHELL', '/bin/sh')}")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="lab.py", description=__doc__)
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run", help="one scene, one treatment")
    run.add_argument("--json", type=Path, help="write all figures here")
    run.add_argument("--plot", action="store_true", help="with the series for plots")
    run.add_argument("--verbose", "-v", action="store_true")
    run.set_defaults(command=run_command)
    shell = commands.add_parser("shell", help="a shell in the router of a running lab")
    shell.set_defaults(command=shell_command)
    for sub in (run, shell):
        add_scene_options(sub)
    args = parser.parse_args()
    exit_on_signals()
    try:
        return args.command(args)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
