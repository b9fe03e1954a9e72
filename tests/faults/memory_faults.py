"""Row 44: a daemon that may not have all the memory it likes. BPF memory counts, since its maps are charged to it."""
from __future__ import annotations

import os
import subprocess
from pathlib import Path

from lab import Lab
from lab_case import LabCase, flood, probe, sluice
from process_facts import bpf_bytes
from reload_test import sluicectl
from start_faults import Kernel, devices, start_and_fail
from treatments import Sluice

ENOUGH, TOO_LITTLE = 96 << 20, 4 << 20


class MemoryGroup:
    """A memory cgroup of its own, of either version; None where the machine has none that can be written."""

    def __init__(self, folder: Path, limit_file: str, peak_file: str, limit: int) -> None:
        self.folder, self.peak_file = folder, peak_file
        folder.mkdir()
        (folder / limit_file).write_text(str(limit))

    @classmethod
    def make(cls, name: str, limit: int) -> MemoryGroup | None:
        one, two = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")
        try:
            if (one / "memory.limit_in_bytes").exists():
                return cls(one / name, "memory.limit_in_bytes", "memory.max_usage_in_bytes", limit)
            if "memory" in (two / "cgroup.controllers").read_text().split():
                (two / "cgroup.subtree_control").write_text("+memory")
                return cls(two / name, "memory.max", "memory.peak", limit)
        except OSError:
            pass
        return None

    def peak(self) -> int | None:
        file = self.folder / self.peak_file  # memory.peak is new in 5.19
        return int(file.read_text()) if file.exists() else None

    def enter(self, program: str) -> str:
        return f"#!/bin/sh\necho $$ >{self.folder}/cgroup.procs && exec {program} \"$@\"\n"

    def remove(self) -> None:
        self.folder.rmdir()


class Memory(LabCase):
    def group(self, limit: int) -> MemoryGroup:
        group = MemoryGroup.make(f"sluice-lab-{os.getpid()}-{limit >> 20}", limit)
        if not group:
            self.skipTest("no memory cgroup that this test may write")
        return group

    def test_a_bound_that_is_kept(self) -> None:
        """96 MiB for daemon and maps, with reloads under a flood; it stays well below."""
        group = self.group(ENOUGH)
        treatment = sluice()
        try:
            with self.lab(Kernel()) as lab:
                self.start_in(group, treatment, lab)
                for i in range(20):
                    good = treatment.policy_text(lab)
                    treatment.running_policy.write_text(
                        good.replace("mode: enforce", f"mode: enforce\n    aqm: {{limit: {8 + i % 5}ms}}"))
                    self.assertEqual(sluicectl(lab, treatment, "reload").returncode, 0)
                    if i % 5 == 0:
                        flood(lab, "150mbit", 0.5)
                served = probe(lab, 1)
                self.note(peak_mib=(group.peak() or 0) / 2**20, bpf_mib=bpf_bytes(treatment.process.pid) / 2**20,
                          lost=served["lost"])
                self.assertGreaterEqual(treatment.status(lab)["reloads_ok"], 20)
                self.assertLess(group.peak() or 0, 0.9 * ENOUGH)
                treatment.stop(lab)
        finally:
            group.remove()

    def test_too_little_to_start(self) -> None:
        """The daemon does not start; the host forwards as before."""
        group = self.group(TOO_LITTLE)
        try:
            with self.lab(Kernel()) as lab:
                before = devices(lab)
                script = lab.folder / "limited"
                script.write_text(group.enter("\"$@\"").replace("\"$@\" \"$@\"", "\"$@\""))
                done = self.start_limited(lab, script)
                self.note(exit=done.returncode, says=done.stderr.strip()[-100:])
                self.assertNotEqual(done.returncode, 0)
                self.assertEqual(devices(lab), before)
                self.assertEqual(probe(lab, 0.5)["lost"], 0)
        finally:
            group.remove()

    @staticmethod
    def start_limited(lab: Lab, script: Path) -> subprocess.CompletedProcess:
        script.chmod(0o755)
        return start_and_fail(lab, sluice(), str(script))

    @staticmethod
    def start_in(group: MemoryGroup, treatment: Sluice, lab: Lab) -> None:
        script = lab.folder / "sluiced-limited"
        script.write_text(group.enter(lab.binary("sluiced")))
        script.chmod(0o755)
        treatment.daemon = str(script)
        treatment.start(lab)
