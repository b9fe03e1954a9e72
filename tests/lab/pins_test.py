"""Packets outlive the daemon: programs, links and maps stay pinned, and the next daemon goes on with them."""
from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

from lab import ROUTER_WAN_IP, SINK_IP, SINK_MAC, Lab
from lab_case import BIN_DIR, FLOOD_PORT, LabCase, Unexplained, attach_foreign, listen, port, sluice
from life_test import Nothing, bpf_objects, left_of
from netns import LabError, in_namespace, ip_batch, run
from traffic import PROBE_PORT
from treatments import Raw, Sluice

BUSY = 4  # exit code
OUT_IP, IN_IP, IN_MAC = "10.77.3.1", "10.77.3.2", "02:77:00:00:03:02"
FLOOD = 25_000  # packets a second
TREE = Path(__file__).resolve().parents[2]

# Shadow: a machine that stands still for a moment makes a queue of anything, and sluice would be right to refuse.
POLICY = """version: 1
ports:
  lan: {{device: lan0}}
  wan: {{device: out0, rate: 10gbit}}
{more}transitions:
  - {{from: [lan], to: wan, mode: shadow{keys}}}
"""
THIRD_PORT = "  lte: {device: wan0, rate: 50mbit}\n"


def policy(keys: str = "", more: str = "") -> str:
    return POLICY.format(keys=f", {keys}" if keys else "", more=more)


def second_sink(lab: Lab) -> None:
    """A veth from the router to the sink, so fast that nothing of this test can fill it; silent by itself."""
    ip_batch(lab.router, [f"link add out0 type veth peer name in0 address {IN_MAC} netns {lab.sink}"])
    run(["ethtool", "-K", "in0", "gro", "on"], lab.sink)
    for namespace, device, address in ((lab.router, "out0", OUT_IP), (lab.sink, "in0", IN_IP)):
        run(["sysctl", "-q", "-w", f"net.ipv6.conf.{device}.disable_ipv6=1"], namespace)
        ip_batch(namespace, [f"addr add {address}/24 dev {device}", f"link set {device} up"])
    ip_batch(lab.router, [f"neigh replace {IN_IP} lladdr {IN_MAC} dev out0 nud permanent"])


def sluicectl(lab: Lab, *words: str) -> subprocess.CompletedProcess:
    return subprocess.run(in_namespace(lab.router, [lab.binary("sluicectl"), *words]), capture_output=True, text=True,
                          timeout=30)


def pin_files(lab: Lab) -> list[str]:
    return sorted(str(path.relative_to(lab.pins)) for path in lab.pins.rglob("*"))


class Counts:
    """Frames at the two devices, and what sluice says of them."""

    def __init__(self, lab: Lab, treatment: Sluice) -> None:
        self.received = lab.device_counters(lab.router, lab.lan)["rx_packets"]
        self.arrived = lab.device_counters(lab.sink, "in0")["rx_packets"]
        status = treatment.status(lab)
        self.lan, self.wan = port(status, "lan"), port(status)

    def sluice_received(self) -> int:
        return self.lan["received_packets"]

    def admitted(self) -> int:
        return sum(c["admitted_packets"] for c in self.wan["classes"])


class Survival(LabCase):
    @contextmanager
    def flooded(self, treatment: Sluice) -> Iterator[Lab]:
        """25,000 packets a second through sluice, far below what the port takes."""
        with self.lab(Nothing(), listeners=False) as lab:
            second_sink(lab)
            listen(lab)
            treatment.start(lab)
            self.flood = lab.spawn("flood", lab.source, [
                lab.binary("udp_probe"), "flood", "--to", IN_IP, "--port", str(FLOOD_PORT), "--frame", "60", "--rate",
                f"{FLOOD * 84 * 8}bit"])
            yield lab

    def settle_and_count(self, lab: Lab, treatment: Sluice) -> Counts:
        """Both devices stand still; between two phases the flood pauses."""
        self.flood.signal(signal.SIGSTOP)
        lab.wait_quiet(0.1)
        time.sleep(0.1)
        counts = Counts(lab, treatment)
        self.flood.signal(signal.SIGCONT)
        return counts

    def nothing_lost(self, phase: str, before: Counts, after: Counts, counters_go_on: bool = True) -> None:
        received, arrived = after.received - before.received, after.arrived - before.arrived
        by_sluice = after.sluice_received() - before.sluice_received()
        admitted, sent = (after.admitted() - before.admitted(), after.wan["sent_packets"] - before.wan["sent_packets"])
        self.note(phase=phase, received=received, lost=received - arrived, by_sluice=by_sluice, admitted=admitted,
                  sent=sent)
        if received != arrived:
            raise Unexplained(f"{phase}: {received - arrived} of {received} packets lost")
        if counters_go_on and not received == by_sluice == admitted == sent:
            raise Unexplained(f"{phase}: received {received}, of these sluice counted {by_sluice}, admitted {admitted}, "
                              f"sent {sent}")
        self.total += received

    def restart(self, lab: Lab, treatment: Sluice, number: int) -> float:
        """Ends the daemon, and starts another one a second later; returns how long that took to be ready."""
        treatment.process.signal(number)
        end = time.monotonic() + 5
        while treatment.process.alive() and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(1)
        begin = time.monotonic()
        text = treatment.running_policy.read_text()
        treatment.policy_file = lab.folder / "next.yaml"
        treatment.policy_file.write_text(text)
        treatment.start(lab)
        return time.monotonic() - begin

    def change(self, treatment: Sluice, text: str) -> None:
        treatment.running_policy.write_text(text)

    def test_no_packet_is_lost_and_counters_go_on(self) -> None:
        """kill -9, SIGTERM, another policy, other devices, another contract, and a reload: one flood through them all."""
        self.total = 0
        with tempfile.TemporaryDirectory() as folder:
            first = Path(folder, "policy.yaml")
            first.write_text(policy())
            treatment = sluice(policy_file=first)
            with self.flooded(treatment) as lab:
                time.sleep(2)
                self.phases(lab, treatment)
        self.note(total=self.total)
        self.assertGreaterEqual(self.total, 500_000)

    def phases(self, lab: Lab, treatment: Sluice) -> None:
        seen = [self.settle_and_count(lab, treatment)]

        def done(phase: str, wanted: str, counters_go_on: bool = True, run_s: float = 3) -> None:
            time.sleep(run_s)
            seen.append(self.settle_and_count(lab, treatment))
            self.nothing_lost(phase, seen[-2], seen[-1], counters_go_on)
            self.assertIn(wanted, treatment.process.messages())
            self.assertEqual(len(list(lab.pins.glob("v*/[0-9]*"))), 1, pin_files(lab))

        self.restart(lab, treatment, signal.SIGKILL)
        done("kill -9", "goes on with")
        self.restart(lab, treatment, signal.SIGTERM)
        done("SIGTERM", "goes on with")
        treatment.running_policy.write_text(policy("aqm: {limit: 9ms}"))
        self.restart(lab, treatment, signal.SIGKILL)
        done("another policy", "goes on with")
        treatment.running_policy.write_text(policy(more=THIRD_PORT))
        self.restart(lab, treatment, signal.SIGKILL)
        done("another port", "replaces")
        treatment.running_policy.write_text(policy())
        self.assertEqual(sluicectl(lab, "--control-socket", str(treatment.control), "reload").returncode, 0)
        done("reload without it", "replaced the data path")
        treatment.process.kill()
        (own,) = lab.pins.glob("v*")
        own.rename(lab.pins / "v1")  # as an older sluice would have left it
        self.restart(lab, treatment, signal.SIGKILL)
        done("another contract", "replaces", counters_go_on=False)
        self.assertEqual([path.name for path in lab.pins.glob("v*")], [own.name])
        done("the rest", "", run_s=max(1.0, (520_000 - self.total) / FLOOD))


class Owner(LabCase):
    def refused(self, lab: Lab, *options: str, pins: Path | None = None) -> subprocess.CompletedProcess:
        policy_file = lab.folder / "refused.yaml"
        policy_file.write_text(sluice().policy_text(lab))
        return subprocess.run(in_namespace(lab.router, [
            lab.binary("sluiced"), "--policy", str(policy_file), "--web.listen-address", "", "--control-socket",
            str(lab.folder / "refused.sock"), "--state-dir", "", "--pin-path", str(pins or lab.pins), *options]), capture_output=True, text=True,
            timeout=30)

    def test_one_daemon_only(self) -> None:
        treatment = sluice()
        with self.lab(treatment) as lab:
            pins = pin_files(lab)
            second = self.refused(lab)
            ephemeral = self.refused(lab, "--ephemeral")
            unload = sluicectl(lab, "unload", "--pin-path", str(lab.pins))
            self.note(second=second.stderr.strip(), ephemeral=ephemeral.stderr.strip(), unload=unload.stderr.strip())
            self.assertEqual((second.returncode, ephemeral.returncode, unload.returncode), (BUSY, BUSY, BUSY))
            self.assertIn(f"(pid {treatment.process.pid})", second.stderr)
            self.assertIn(f"(pid {treatment.process.pid})", unload.stderr)
            self.assertIn('"sluice_ingress"', ephemeral.stderr)
            self.assertEqual(pin_files(lab), pins)
            self.assertEqual(treatment.status(lab)["health"], "ok")

    def test_a_foreign_program_is_named_and_stays(self) -> None:
        raw = Raw()
        with self.lab(raw, listeners=False) as lab:
            by_link = self.refused(lab)
            self.note(by_link=by_link.stderr.strip())
            self.assertEqual(by_link.returncode, BUSY)
            self.assertRegex(by_link.stderr, rf'{lab.lan}: another XDP program .* "plain_redirect" \(id \d+, native mode, '
                                             r"by link \d+\)")
            self.assertTrue(raw._process.alive())
            raw.stop(lab)
            attach_foreign(lab, lab.lan)
            before = run(["ip", "-d", "-o", "link", "show", lab.lan], lab.router)
            by_netlink = self.refused(lab)
            self.note(by_netlink=by_netlink.stderr.strip())
            self.assertEqual(by_netlink.returncode, BUSY)
            self.assertRegex(by_netlink.stderr, r"\(id \d+, generic mode, by netlink\)")
            self.assertEqual(run(["ip", "-d", "-o", "link", "show", lab.lan], lab.router), before)
            self.assertEqual([p for p in pin_files(lab) if p.startswith("v")], [])

    def test_pins_need_a_bpf_file_system(self) -> None:
        with self.lab(Nothing(), listeners=False) as lab:
            refused = self.refused(lab, pins=lab.folder / "pins")
            self.note(says=refused.stderr.strip())
            self.assertEqual(refused.returncode, 1)
            self.assertIn("is not on a BPF file system", refused.stderr)
            self.assertIn("mount -t bpf bpf /sys/fs/bpf", refused.stderr)
            read_only = lab.folder / "bpf"
            read_only.mkdir()
            run(["mount", "-t", "bpf", "-o", "ro", "bpf", str(read_only)])
            try:
                refused = self.refused(lab, pins=read_only / "sluice")
            finally:
                run(["umount", str(read_only)])
            self.assertEqual(refused.returncode, 1)
            self.assertIn("read-only", refused.stderr)


class Unload(LabCase):
    @staticmethod
    def state(lab: Lab) -> dict[str, str]:
        """What a data path could leave behind in the router and in the kernel."""
        return {"links": run(["ip", "-d", "-o", "link"], lab.router), "qdiscs": re.sub(r"rate \S+ burst \S+", "paced", run(["tc", "qdisc"], lab.router)),
                "filters": "".join(run(["tc", "filter", "show", "dev", device, side], lab.router)
                                   for device in (lab.lan, lab.wan) for side in ("ingress", "egress")),
                "pins": " ".join(sorted(os.listdir("/sys/fs/bpf")))}

    def test_unload_leaves_nothing_behind(self) -> None:
        self.leaves_nothing_behind(sluice())

    def test_a_slow_path_outlives_the_daemon_and_goes_with_unload(self) -> None:
        """Its qdisc and its tc program are the kernel's to keep; a killed daemon's successor takes them over."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "policy.yaml")
            file.write_text("version: 1\nports:\n  lan: {device: lan0}\n"
                            "  wan: {device: wan0, rate: 50mbit, spill: {qdisc: pfifo}}\n"
                            "transitions:\n  - {from: [lan], to: wan, classes: [{name: default, when_full: [spill, drop]}]}\n")
            self.leaves_nothing_behind(sluice(policy_file=file), self.killed_and_started_again)

    def killed_and_started_again(self, lab: Lab, treatment: Sluice) -> None:
        running = self.state(lab)
        self.assertIn("tbf", running["qdiscs"])
        treatment.process.kill()
        self.assertEqual(self.state(lab), running)
        treatment.start(lab)
        self.assertIn("goes on with", treatment.process.messages())
        self.assertEqual(self.state(lab), running)

    def leaves_nothing_behind(self, treatment: Sluice, meanwhile=lambda lab, treatment: None) -> None:
        with self.lab(Nothing()) as lab:
            before = self.state(lab)
            treatment.start(lab)
            ids = bpf_objects(treatment.process.pid)
            self.assertTrue(all(ids.values()), ids)
            mode = {path: oct(path.lstat().st_mode & 0o777) for path in [lab.pins, *lab.pins.rglob("*")]
                    if not path.is_symlink()}
            self.assertEqual({m for path, m in mode.items() if path.is_dir()}, {"0o700"})
            self.assertEqual({m for path, m in mode.items() if not path.is_dir()}, {"0o600"})
            meanwhile(lab, treatment)
            treatment.process.stop()
            self.assertEqual(treatment.process.exit_code(), 0, treatment.process.messages())
            self.assertIn("prog/xdp", self.state(lab)["links"])
            done = sluicectl(lab, "unload", "--pin-path", str(lab.pins), "-o", "json")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(json.loads(done.stdout)["detached"], [lab.lan])
            self.assertNotIn("prog/xdp", self.state(lab)["links"])
            self.note(left=left_of(ids))
            self.assertEqual(left_of(ids), {})
            self.assertEqual(self.state(lab), before)
            again = sluicectl(lab, "unload", "--pin-path", str(lab.pins))
            self.assertEqual(again.returncode, 0, again.stderr)


class ControllerLost(LabCase):
    """Ten seconds after the last sign of life the policy decides who forwards."""

    def by_kernel(self, keep: str) -> tuple[int, int]:
        """Frames that the kernel forwarded in the first and in the thirteenth second without a daemon; of 100."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "policy.yaml")
            file.write_text(f"version: 1\nports:\n  lan: {{device: lan0}}\n  wan: {{device: wan0, rate: 50mbit}}\n"
                            f"transitions:\n  - {{from: [lan], to: wan, on_controller_loss: {keep}}}\n")
            treatment = sluice(policy_file=file)
            with self.lab(treatment) as lab:
                injector = self.injector(lab)
                injector.send(10)
                treatment.process.kill()
                begin = time.monotonic()
                early = self.forwarded(lab, injector)
                time.sleep(begin + 12 - time.monotonic())
                return early, self.forwarded(lab, injector)

    @staticmethod
    def forwarded(lab: Lab, injector: object) -> int:
        before = lab.link.command("stats")
        injector.send(100)
        time.sleep(0.3)
        after = lab.link.command("stats")
        if (arrived := after["of_source"] - before["of_source"]) != 100:
            raise Unexplained(f"{arrived} of 100 frames arrived")
        return after["stack_frames_of_source"] - before["stack_frames_of_source"]

    def test_bypass(self) -> None:
        early, late = self.by_kernel("bypass")
        self.note(by_kernel_at_once=early, after_12_s=late)
        self.assertEqual((early, late), (0, 100))

    def test_keep(self) -> None:
        early, late = self.by_kernel("keep")
        self.note(by_kernel_at_once=early, after_12_s=late)
        self.assertEqual((early, late), (0, 0))


class Library(LabCase):
    """The example, built as its users build it, with the maps of a running sluiced."""

    def build(self, folder: Path) -> Path:
        include = folder / "root/usr/include/sluice"
        shutil.copytree(TREE / "include/sluice", include, ignore=shutil.ignore_patterns("rings"))
        shutil.copytree(TREE / "examples/library", folder / "example")
        environment = {**os.environ, "PKG_CONFIG_SYSROOT_DIR": str(folder / "root"), "PKG_CONFIG_PATH": str(BIN_DIR)}
        subprocess.run(["make", "-s", "-C", str(folder / "example")], env=environment, check=True, capture_output=True)
        return folder / "example/balancer"

    def start(self, lab: Lab, program: Path) -> None:
        self.balancer = lab.spawn("balancer", lab.router, [
            "env", f"SLUICE_PIN_PATH={lab.pins}", str(program), lab.lan, lab.wan, SINK_IP, SINK_MAC])
        self.balancer.wait_ready()

    def verdicts(self) -> dict[str, int]:
        return json.loads(self.balancer.request_line(signal.SIGUSR1))

    def test_a_program_of_somebody_else_shares_the_queue(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            program = self.build(Path(folder))
            file = Path(folder, "policy.yaml")
            file.write_text("version: 1\nports:\n  lan: {device: lan0}\n  wan: {device: wan0, rate: 20mbit}\n"
                            "transitions:\n  - {from: [lan], to: wan, forward: library}\n")
            treatment = sluice(policy_file=file)
            with self.lab(treatment) as lab:
                self.start(lab, program)
                self.floods(lab, treatment)

    def floods(self, lab: Lab, treatment: Sluice) -> None:
        self.flood_and_compare(lab, treatment)
        treatment.process.kill()
        alone = self.verdicts()
        self.send(lab)
        self.assertGreater(self.verdicts()["forwarded"], alone["forwarded"], "no verdicts without the daemon")
        treatment.start(lab)
        self.assertIn("goes on with", treatment.process.messages())
        self.flood_and_compare(lab, treatment)
        self.assertTrue(self.balancer.alive())

    @staticmethod
    def send(lab: Lab) -> None:
        run([lab.binary("udp_probe"), "flood", "--to", SINK_IP, "--port", str(FLOOD_PORT), "--rate", "60mbit",
             "--frame", "1242", "--seconds", "1.5"], lab.source)

    def flood_and_compare(self, lab: Lab, treatment: Sluice) -> None:
        """Three times what the port takes: most is refused, and both sides count the same."""
        before, status = self.verdicts(), port(treatment.status(lab))
        self.send(lab)
        time.sleep(0.3)
        after, now = self.verdicts(), port(treatment.status(lab))
        mine = {name: n - before[name] for name, n in after.items()}
        classes = now["classes"][0], status["classes"][0]
        admitted = classes[0]["admitted_packets"] - classes[1]["admitted_packets"]
        sent = now["sent_packets"] - status["sent_packets"]
        self.note(verdicts=mine, admitted=admitted, sent=sent)
        self.assertEqual(mine["forwarded"] + mine["marked"], admitted)
        self.assertEqual(admitted, sent + sum(row["packets"] for row in now["kernel_drops"]) -
                         sum(row["packets"] for row in status["kernel_drops"]))
        self.assertGreater(mine["refused"], mine["forwarded"])
        self.assertGreater(mine["forwarded"], 100)
