#!/usr/bin/env python3
"""sluice on Debian's kernels: `vm_test.py 6.1 [--update-budget]` boots one guest in virtual time and judges what ran inside.

SLUICE_BUILD_DIR (default build/) has the programs, SLUICE_KERNELS (default its kernels/) what kernels.py made. A machine
that cannot run guests fails this test; SLUICE_NO_VM=1 leaves it out, and says so.
"""
from __future__ import annotations

import json
import os
import sys
import unittest
from dataclasses import dataclass
from pathlib import Path

from guest import Guest, GuestError, Result
from initrd import Initrd

REPOSITORY = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("SLUICE_BUILD_DIR", REPOSITORY / "build"))
KERNELS = Path(os.environ.get("SLUICE_KERNELS", BUILD / "kernels"))
BUDGETS = Path(__file__).resolve().parent / "budgets.json"
SKIPPED = 77
GUEST_S = 900
CLANGS = ("clang-14", "clang-19")
MARGIN = 1.2  # of a new budget over what was measured
COST_MARGIN = 1.1  # likewise, of instructions per packet
NO_PROMISE: set[tuple[str, str]] = set()

LAB_TEST = "cd tests/lab && SLUICE_BUILD_DIR=/sluice/build python3 -B -m unittest -v "

# What runs in the guest, in this order: name, command in the folder of the repository, seconds of virtual time. Loading the
# programs is most of the work (the verifier runs at a fortieth of its speed), so there are few cases of each kind.
STEPS = {
    **{f"verified_{clang}": (f"build/verified_counts_{clang} >/out/{clang}.json", 120) for clang in CLANGS},
    "ring": ("build/ring_test --gtest_filter='Hooks/Ring.OccupancySizeAndBytesAreExact/*:Hooks/Ring.VethDrainsItself/Tracepoint:TransmitProbe.*'", 60),
    "virtio": ("SLUICE_VIRTIO_DEVICE=eth0 build/ring_test --gtest_filter='*/VirtioRing.*'", 240),
    "lab_scene": ("python3 tests/lab/lab.py run --treatment sluice --seconds 3 --warmup 1 --json /out/scene.json", 60),
    "spill": (LAB_TEST + "spill_test.Spill.test_sparse_flows_do_not_wait_behind_spilled_ones", 120),
    "world": (LAB_TEST + "world_test.World.test_a_peer_without_gro_loses_nothing_in_silence", 60),
    "encapsulation": (LAB_TEST + "encapsulation_test", 120),
    "tc": (LAB_TEST + "xdp_test.TcIngress.test_it_outlives_the_daemon_and_goes_with_unload xdp_test.TagsAtTcIngress", 60),
    "dispatcher": (LAB_TEST + "dispatcher_test.BesideOthers dispatcher_test.Alone.test_frames_of_several_buffers", 120),
    "pins": (LAB_TEST + "pins_test.Unload pins_test.ControllerLost.test_bypass", 120),
    "forwarding": ("build/forwarding_cost >/out/forwarding.json", 60),
}
LIBXDP = (Path("/usr/lib/x86_64-linux-gnu/libxdp.so.1"), Path("/usr/lib/x86_64-linux-gnu/bpf/xdp-dispatcher.o"))
PROGRAMS = ("sluiced", "sluicectl", "slowlink", "udp_probe", "ring_test", "forwarding_cost",
            *(f"verified_counts_{clang}" for clang in CLANGS))
MODULES = ("tun", "veth", "8021q", "pppoe", "sch_ingress", "cls_bpf", "act_bpf", "act_mirred", "sch_htb", "sch_tbf", "sch_fq_codel",
           "sch_cake", "virtio_pci",
           "virtio_net", "ixgbe", "igb", "igc", "i40e", "ice", "mlx5_core")
# A NIC with a queue per CPU and one more for XDP, whose device looks at a ring four seconds after the first frame in it.
NIC = ["-netdev", "tap,id=n0,ifname=guest0,script=no,downscript=no,queues=2",
       "-device", "virtio-net-pci,netdev=n0,mq=on,vectors=6,tx=timer,x-txtimer=4000000000,romfile="]


def find_program(name: str) -> Path:
    for path in BUILD.rglob(name):
        if path.is_file() and os.access(path, os.X_OK) and "_CPack_Packages" not in path.parts:
            return path
    raise GuestError(f"no program {name} below {BUILD}: build first (clang-14 and clang-19 are needed, see ./dev)")


# Each step leaves its output and status in /out; one that fails does not keep the others from running.
SCRIPT = """while read -r name seconds; do
    read -r begin _ </proc/uptime
    timeout "$seconds" bash "steps/$name" >"/out/$name.log" 2>&1
    echo $? >"/out/$name.status"
    read -r end _ </proc/uptime
    echo "    $name: $begin to $end s, status $(cat "/out/$name.status")"
done <steps.list
"""


def boot(series: str) -> Result:
    initrd = Initrd()
    initrd.add_system()
    for name in PROGRAMS:
        initrd.add_program(find_program(name), f"sluice/build/{name}")
    # libxdp, which sluiced opens when a port asks for it, and somebody else's program for its dispatcher.
    initrd.add_program(Path("/usr/sbin/xdp-loader"))
    for file in LIBXDP:
        initrd.add_file(file)
    initrd.add_file(BUILD / "tests/lab/frame_counter.bpf.o", "sluice/build/frame_counter.bpf.o")
    initrd.add_tree(REPOSITORY / "tests/lab", "sluice/tests/lab", {"__pycache__"})
    for name, (command, _) in STEPS.items():
        initrd.add(f"sluice/steps/{name}", command.encode())
    initrd.add("sluice/steps.list", "".join(f"{name} {seconds}\n" for name, (_, seconds) in STEPS.items()).encode())
    guest = Guest(KERNELS / series, initrd, MODULES, virtual_time=True, devices=NIC, namespace=True)
    return guest.run(SCRIPT, GUEST_S)


@dataclass
class Budgets:
    """Stored figures per kernel: verified instructions per clang and program, instructions per packet per path."""

    series: str

    def stored(self, kind: str) -> dict[str, int]:
        return json.loads(BUDGETS.read_text()).get(self.series, {}).get(kind, {}) if BUDGETS.exists() else {}

    def store(self, kind: str, figures: dict[str, int]) -> None:
        everything = json.loads(BUDGETS.read_text()) if BUDGETS.exists() else {}
        everything.setdefault(self.series, {})[kind] = figures
        BUDGETS.write_text(json.dumps(everything, indent=1, sort_keys=True) + "\n")


class Kernel(unittest.TestCase):
    """One boot; each test judges one of its steps."""

    UPDATE = "If the growth is worth it: tests/vm/vm_test.py SERIES --update-budget, and commit tests/vm/budgets.json"
    series = ""
    update = False
    guest: Result

    @classmethod
    def setUpClass(cls) -> None:
        cls.guest = boot(cls.series)
        print(f"    guest {cls.series}: {cls.guest.wall_s:.0f} s, {os.times().children_user:.0f} s of CPU\n{cls.guest.output}{cls.guest.console}", flush=True)

    def log(self, step: str) -> str:
        return self.guest.files.get(f"{step}.log", b"").decode(errors="replace")

    def passed(self, step: str) -> str:
        """The output of a step that ended well."""
        status = self.guest.files.get(f"{step}.status", b"none").decode().strip()
        self.assertEqual(status, "0", f"{step} ended with status {status} on kernel {self.series}:\n{self.log(step)[-6000:]}")
        return self.log(step)

    def within_budget(self, kind: str, figures: dict[str, int], margin: float, cure: str) -> None:
        budgets = Budgets(self.series)
        if self.update:
            budgets.store(kind, {name: int(value * margin) for name, value in figures.items()})
        stored = budgets.stored(kind)
        self.assertTrue(figures)
        over = [f"{name}: {value}, budget {stored.get(name, 'none')}" for name, value in figures.items()
                if value > stored.get(name, 0)]
        self.assertFalse(over, f"{kind} on kernel {self.series}:\n  " + "\n  ".join(over) + f"\n{cure}")

    def test_verified_instructions(self) -> None:
        for clang in CLANGS:
            if (self.series, clang) in NO_PROMISE:
                print(f"    {self.series} {clang}, no promise: {self.guest.files.get(f'{clang}.json', b'')!r} {self.log(f'verified_{clang}')}")
                continue
            with self.subTest(clang):
                self.passed(f"verified_{clang}")
                counts = json.loads(self.guest.files[f"{clang}.json"])
                print(f"    {self.series} {clang}: {counts}", flush=True)
                self.within_budget(f"verified {clang}", counts, MARGIN, self.UPDATE)

    def test_instructions_per_packet(self) -> None:
        self.passed("forwarding")
        paths = json.loads(self.guest.files["forwarding.json"])
        print(f"    {self.series} instructions per packet: {paths}", flush=True)
        self.assertLess(paths["sluice fib"], paths["kernel noqueue"], "forwarding by XDP has to be worth it")
        self.within_budget("instructions per packet", {name: n for name, n in paths.items() if name in ("sluice fib", "sluice xconnect")},
                           COST_MARGIN, self.UPDATE)

    def ring_test(self, step: str, cases: int) -> None:
        """Ring readers against rings whose content is known; the devmap hook where the kernel has it."""
        log = self.passed(step)
        print(log, flush=True)
        skipped = log.count("the devmap hook needs kernel 6.2")
        self.assertEqual(skipped, 1 if self.series == "6.1" else 0, log)
        self.assertEqual(log.count("[       OK ]"), cases - skipped, log)

    def test_tap_and_veth_rings(self) -> None:
        self.ring_test("ring", 4)

    def test_virtio_ring(self) -> None:
        self.ring_test("virtio", 2)

    def lab_test(self, step: str) -> None:
        log = self.passed(step)
        print(log, flush=True)
        self.assertNotIn("skipped", log)

    def test_spill_into_a_fair_queue(self) -> None:
        self.lab_test("spill")

    def test_no_frame_goes_to_a_device_that_takes_none(self) -> None:
        """6.12 says which do; on 6.1 sluiced tries it."""
        self.lab_test("world")

    def test_peers_that_speak_vlan_and_pppoe(self) -> None:
        """tcx, for the routes by tc ingress, came with 6.6."""
        log = self.passed("encapsulation")
        print(log, flush=True)
        self.assertEqual(log.count("... skipped '"), 1 if self.series == "6.1" else 0)

    def test_tc_ingress(self) -> None:
        """tcx came with 6.6."""
        log = self.passed("tc")
        print(log, flush=True)
        self.assertEqual(log.count("tc ingress needs Linux 6.6"), 2 if self.series == "6.1" else 0)

    def test_life_beside_other_xdp_programs(self) -> None:
        """6.1 with the libxdp that is installed. 6.12 wants a later one than Debian 12's, and sluiced has to say so."""
        log = self.passed("dispatcher")
        print(log, flush=True)
        self.assertEqual(log.count("skipped '"), log.count("skipped 'this kernel needs libxdp 1.5.5 or later"), log)
        if self.series == "6.1":
            self.assertNotIn("skipped", log)

    def test_the_data_path_outlives_the_daemon(self) -> None:
        """tcx links where the kernel has them; 6.1 keeps the slow path's program by a filter of clsact."""
        self.lab_test("pins")

    def test_lab_scene(self) -> None:
        self.passed("lab_scene")
        scene = json.loads(self.guest.files["scene.json"])
        figures = {key: scene[key] for key in ("goodput_mbit", "jain", "delay_ms_p99", "unexplained", "probe_loss")}
        print(f"    {self.series} lab: {figures}", flush=True)
        self.assertEqual(scene["unexplained"], 0)
        self.assertGreater(scene["utilisation"], 0.9)
        self.assertGreater(scene["jain"], 0.95)
        self.assertLess(scene["delay_ms_p99"], 20)


def main() -> int:
    words = sys.argv[1:]
    if os.environ.get("SLUICE_NO_VM"):
        print("vm_test: NOT RUN, SLUICE_NO_VM is set: nothing is known about Debian's kernels", flush=True)
        return SKIPPED
    Kernel.update = "--update-budget" in words
    series = [word for word in words if not word.startswith("-")]
    if len(series) != 1:
        raise SystemExit(__doc__)
    Kernel.series = series[0]
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(Kernel)
    return 0 if unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite).wasSuccessful() else 1


if __name__ == "__main__":
    raise SystemExit(main())
