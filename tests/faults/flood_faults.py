"""Rows 27 and 28: floods that aim at the table of flows."""
from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

from lab import Lab
from lab_case import BIN_DIR, LATE_US, STEAL, LabCase, once_more_when_noisy, sluice, wire_mbit
from netns import run
from process_facts import bpf_bytes, resident_kib
from scene import SCENES, measure

CLASSES = """
    classes:
      - {name: open, match: [{proto: udp, dport: 9}]}
      - {name: default}
"""
# A frame each from another address and port; 65,536 of them are more flows than the table has buckets.
SPOOF = Path(__file__).with_name("spoof.py")


class Floods(LabCase):
    @once_more_when_noisy
    def test_spoofed_sources(self) -> None:
        """150 Mbit/s, no flow twice within 65,536 frames: the other class keeps its half, memory does not move."""
        treatment = sluice()
        treatment.policy_text = lambda lab: type(treatment).policy_text(treatment, lab) + CLASSES
        held: dict[str, list[int]] = {"bpf": [], "kib": []}

        def attack(lab: Lab, until) -> None:
            until(1)
            attacker = lab.spawn("spoof", lab.source, [sys.executable, "-B", str(SPOOF), lab.source_device, "15000"])
            for second in (3, 5, 7.5):
                until(second)
                held["bpf"].append(bpf_bytes(treatment.process.pid))
                held["kib"].append(resident_kib(treatment.process.pid))
            self.assertTrue(attacker.alive(), attacker.messages())
            attacker.stop()

        run_ = measure(replace(SCENES["tcp"], warmup=3, seconds=4.5), treatment, BIN_DIR, during=attack)
        self.noisy |= run_["link"]["late_max_us"] > LATE_US or run_["cpu"]["steal"] > STEAL
        flows = run_["plot"]["flows"]
        tcp_mbit = wire_mbit(run_ | {"plot": run_["plot"] | {"flows": [f for f in flows if f["name"].startswith("TCP")]}},
                             3, 7.5)
        self.note(tcp_mbit=tcp_mbit, probe_loss=run_["probe_loss"], p99=run_["delay_ms_p99"], busy=run_["cpu"]["busy"],
                  verdicts=run_["verdicts"], **held)
        # The link knows the lab's source by its address, so the identity is that of sluice's own counters.
        verdicts = run_["verdicts"]
        self.assertEqual(sum(n for name, n in verdicts.items() if not name.startswith("kernel_")), run_["received"])
        self.assertGreater(sum(n for name, n in verdicts.items() if name.startswith("drop")), 10_000)
        self.assertGreaterEqual(tcp_mbit, 0.5 * 50 * 0.9)
        self.assertLessEqual(run_["probe_loss"], 0.01)
        self.assertEqual(len(set(held["bpf"])), 1)
        self.assertLess(max(held["kib"]) - min(held["kib"]), 8 * 1024)

    def test_each_load_hashes_differently(self) -> None:
        """What an attacker learned about one load is worth nothing at the next."""
        seeds = []
        for _ in range(2):
            treatment = sluice()
            with self.lab(treatment, listeners=False):
                seeds.append(self.seed(treatment.process.pid))
        self.note(seeds=seeds)
        self.assertNotEqual(seeds[0], seeds[1])
        self.assertTrue(all(any(seed) for seed in seeds))

    @staticmethod
    def seed(pid: int) -> list[int]:
        """Of the hash, as the loaded program has it."""
        for info in Path(f"/proc/{pid}/fdinfo").iterdir():
            rows = dict(row.split(":", 1) for row in info.read_text().splitlines() if ":" in row)
            if "prog_id" not in rows or "link_id" in rows:
                continue
            program = json.loads(run(["bpftool", "-j", "prog", "show", "id", rows["prog_id"].strip()]))
            for map_id in program.get("map_ids", []):
                if not json.loads(run(["bpftool", "-j", "map", "show", "id", str(map_id)])).get("name", "").endswith("rodata"):
                    continue
                dump = json.loads(run(["bpftool", "-j", "map", "dump", "id", str(map_id)]))
                for section in dump[0].get("formatted", dump[0])["value"].values():
                    for variable in section:
                        if "seed" in variable.get("config", {}):
                            return variable["config"]["seed"]
        raise AssertionError("no program with a seed")
