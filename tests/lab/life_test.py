"""The daemon comes, stalls and goes; the packets flow. Nothing is left behind, however a lab ends."""
from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from lab import Lab
from lab_case import BIN_DIR, LabCase, high_delay_ms, once_more_when_noisy, sluice, wire_mbit
from netns import run
from scene import SCENES
from traffic import Traffic, TrafficOptions

FULL_RING_MS = 1000 * 1538 * 8 / 50e3  # delay of a plain redirect that four TCP flows keep full
STALLED = replace(SCENES["tcp"], warmup=2, seconds=5)


def bpf_objects(pid: int) -> dict[str, set[int]]:
    """Ids of the programs, maps and links that a process holds."""
    ids: dict[str, set[int]] = {"prog": set(), "map": set(), "link": set()}
    for info in Path(f"/proc/{pid}/fdinfo").iterdir():
        words = dict(line.split(":", 1) for line in info.read_text().splitlines() if ":" in line)
        for kind in ids:
            if f"{kind}_id" in words and (kind != "prog" or "link_id" not in words):
                ids[kind].add(int(words[f"{kind}_id"]))
    return ids


def left_of(ids: dict[str, set[int]], patience_s: float = 3) -> dict[str, set[int]]:
    """Which of these the kernel still has; it frees them a moment after their last user."""
    end = time.monotonic() + patience_s
    while True:
        left = {}
        for kind, mine in ids.items():
            listed = {row["id"] for row in json.loads(run(["bpftool", "-j", kind, "show"]))}
            if mine & listed:
                left[kind] = mine & listed
        if not left or time.monotonic() > end:
            return left
        time.sleep(0.1)


class Heartbeat(LabCase):
    @once_more_when_noisy
    def test_stopped_controller_keeps_the_delay_bounded(self) -> None:
        """SIGSTOP from second 2 to 4.5 under load; recovered from 5.5 on."""
        treatment = sluice()

        def stall(_lab: Lab, until) -> None:
            until(2)
            treatment.process.signal(signal.SIGSTOP)
            until(4.5)
            treatment.process.signal(signal.SIGCONT)

        run_ = self.measure(STALLED, treatment, stall)
        stalled_ms, after_ms = high_delay_ms(run_, 2.1, 4.5), high_delay_ms(run_, 5.5, 7)
        stalled_mbit, after_mbit = wire_mbit(run_, 2.1, 4.5), wire_mbit(run_, 5.5, 7)
        self.note(full_ring_ms=FULL_RING_MS, stalled_ms=stalled_ms, after_ms=after_ms, stalled_mbit=stalled_mbit,
                  after_mbit=after_mbit, verdicts=run_["verdicts"])
        self.assertLessEqual(stalled_ms, FULL_RING_MS / 3)
        self.assertGreaterEqual(stalled_mbit, 0.5 * 50)
        self.assertLessEqual(after_ms, FULL_RING_MS / 6)
        self.assertGreaterEqual(after_mbit, 0.8 * 50)
        self.assertLessEqual(run_["probe_loss"], 0.02)


class Termination(LabCase):
    def test_sigterm_detaches_and_the_kernel_forwards(self) -> None:
        treatment = sluice(options=["--ephemeral"])
        with self.lab(Nothing(), listeners=False) as lab:  # Traffic brings its own
            devices_before = self.devices(lab)
            traffic = Traffic(lab, TrafficOptions())
            treatment.start(lab)
            self.assertIn("prog/xdp", self.devices(lab))
            ids = bpf_objects(treatment.process.pid)
            self.assertTrue(all(ids.values()), ids)
            traffic.prepare()
            traffic.start(lab.link.command("go")["time_ns"], [(0, 9)])
            time.sleep(1.5)
            self.assertEqual(lab.link.command("stats")["stack_frames_of_source"], 0)
            begin = time.monotonic()
            treatment.process.stop()
            gone_s = time.monotonic() - begin
            before = lab.link.command("stats")
            time.sleep(1.5)
            after = lab.link.command("stats")
            traffic.check()
            mbit = (after["forward"]["bytes"] - before["forward"]["bytes"]) * 8 / 1.5e6
            by_kernel = after["stack_frames_of_source"] - before["stack_frames_of_source"]
            self.note(gone_s=gone_s, kernel_mbit=mbit, by_kernel=by_kernel, left=left_of(ids))
            self.assertLess(gone_s, 3)
            self.assertEqual(treatment.process.exit_code(), 0, treatment.process.messages())
            self.assertGreater(mbit, 25)
            self.assertGreater(by_kernel, 1000)
            self.assertEqual(left_of(ids), {})
            self.assertEqual(self.devices(lab), devices_before)
            self.assertFalse(treatment.control.exists(), "the control socket stays behind")
            traffic.stop()

    @staticmethod
    def devices(lab: Lab) -> str:
        return run(["ip", "-d", "-o", "link"], lab.router)


class Nothing:
    """The kernel forwards by itself."""

    name = "nothing"

    def start(self, lab: Lab) -> None:
        pass


CHILD = """
import sys
sys.path.insert(0, {folder!r})
from pathlib import Path
from lab import Lab, LabOptions, exit_on_signals
from treatments import Sluice
exit_on_signals()
with Lab(LabOptions(bin_dir=Path({bin_dir!r}))) as lab:
    sluice = Sluice("50mbit")
    sluice.start(lab)
    print(sluice.process.pid, lab.link.process.pid, lab.folder, flush=True)
    sys.stdin.readline()
    {end}
"""


class LeftOvers(LabCase):
    def ends(self, end: str = "pass", number: int = 0, folder_goes: bool = True) -> int:
        """A lab of its own process that ends in this way; returns its exit code."""
        links = run(["ip", "-o", "link"])
        script = CHILD.format(folder=str(Path(__file__).parent), bin_dir=str(BIN_DIR), end=end)
        child = subprocess.Popen([sys.executable, "-B", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 stderr=subprocess.DEVNULL, text=True, env={**os.environ, "SLUICE_LAB_MOUNTS": ""})
        daemon, link, folder = child.stdout.readline().split()
        ids = bpf_objects(int(daemon))
        namespace = os.readlink(f"/proc/{daemon}/ns/net")
        if number:
            child.send_signal(number)
        child.communicate(None if number else "\n", timeout=10)
        left = left_of(ids)
        time.sleep(0.2)  # a process gives up its files before it is gone itself
        processes = [pid for pid in (daemon, link) if alive(pid)]
        inside = [p.name for p in Path("/proc").glob("[0-9]*") if namespace_of(p) == namespace]
        self.note(exit=child.returncode, bpf_left=left, processes_left=processes, in_namespace=inside)
        self.assertEqual((left, processes, inside), ({}, [], []))
        self.assertEqual(run(["ip", "-o", "link"]), links)
        if folder_goes:
            self.assertFalse(Path(folder).exists())
        shutil.rmtree(folder, ignore_errors=True)
        return child.returncode

    def test_normal_end(self) -> None:
        self.assertEqual(self.ends(), 0)

    def test_exception(self) -> None:
        self.assertEqual(self.ends("raise RuntimeError"), 1)

    def test_sigterm(self) -> None:
        self.assertEqual(self.ends(number=signal.SIGTERM), 128 + signal.SIGTERM)

    def test_sigkill(self) -> None:
        """Even then: children die with their parent, the kernel frees namespaces and mounts. Only files stay."""
        self.ends(number=signal.SIGKILL, folder_goes=False)


def alive(pid: str) -> bool:
    """Zombies are not: they wait for their parent only."""
    try:
        return Path("/proc", pid, "stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def namespace_of(process: Path) -> str:
    try:
        return os.readlink(process / "ns/net")
    except OSError:
        return ""
