"""`attach: dispatcher`: sluice is one of several XDP programs that libxdp calls, and leaves the others alone.

Two programs at one interface take a kernel that extends programs (freplace); without it libxdp attaches the only one.
"""
from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

from lab import find_binary
from lab_case import BIN_DIR
from netns import LabError, in_namespace, ip_batch, run
from three_hosts import PATIENCE_S, POLICY, ThreeHosts

BUSY = 4  # exit code
DISPATCHED = POLICY.replace("device: lan0", "device: lan0, attach: dispatcher")
ALLOW = ["--allow-dispatcher"]
PINGS = 20
KERNEL = tuple(int(number) for number in re.match(r"(\d+)\.(\d+)", os.uname().release).groups())


class Dispatcher(ThreeHosts):
    def pins(self) -> Path:
        return Path("/sys/fs/bpf", self.router)

    def unload(self) -> None:
        self.daemon.stop()
        text = run([find_binary(BIN_DIR, "sluicectl"), "unload", "--pin-path", str(self.pins()), "-o", "json"], self.router)
        self.assertEqual(json.loads(text)["detached"], ["lan0"])
        self.assertFalse(self.pins().exists())

    def start_dispatched(self, text: str = DISPATCHED) -> None:
        try:
            self.start(text, ALLOW)
        except LabError as error:
            if "needs libxdp 1.5.5 or later" in str(error):
                self.skipTest("this kernel needs libxdp 1.5.5 or later, and sluiced says so")
            raise

    def program(self) -> str:
        """Id of what is attached to the fast port."""
        found = re.search(r"prog/xdp id (\d+)", run(["ip", "-d", "link", "show", "lan0"], self.router))
        return found[1] if found else ""

    def load(self, name: str, priority: int) -> None:
        """Somebody else's program; its map is at /sys/fs/bpf/NAME-ROUTER/frames."""
        (program,) = BIN_DIR.rglob("frame_counter.bpf.o")
        run(["xdp-loader", "load", "-m", "native", "-P", str(priority), "-p", f"/sys/fs/bpf/{name}-{self.router}", "lan0", str(program)],
            self.router)

    def needs_freplace(self) -> None:
        self.load("one", 10)
        try:
            self.load("two", 20)
        except LabError as error:
            if "is not using a dispatcher" not in str(error):
                raise
            self.skipTest("this kernel runs one XDP program at an interface: no freplace")
        finally:
            run(["xdp-loader", "unload", "--all", "lan0"], self.router)

    def attached(self) -> bool:
        return self.program() != ""

    def pings_redirected(self) -> None:
        self.ping(2)  # neighbours
        answers, sent = self.ping(PINGS)
        self.assertEqual(answers, PINGS)
        self.assertGreaterEqual(sent, PINGS)

    def refused(self, text: str, *options: str) -> str:
        """What a second start says that must fail."""
        policy = self.folder / "refused.yaml"
        policy.write_text(text)
        done = subprocess.run(in_namespace(self.router, [
            find_binary(BIN_DIR, "sluiced"), "--policy", str(policy), "--web.listen-address", "", "--control-socket",
            str(self.folder / "refused.sock"), "--state-dir", "", "--pin-path", str(self.pins()), *options]),
            capture_output=True, text=True, timeout=60)
        self.assertNotEqual(done.returncode, 0, done.stderr)
        return done.stderr


class Alone(Dispatcher):
    def test_it_outlives_the_daemon_follows_a_reload_and_goes_with_unload(self) -> None:
        self.start_dispatched()
        self.until_health("^ok$")
        self.pings_redirected()
        self.daemon.kill()
        run(["ping", "-q", "-i", "0.02", "-c", str(PINGS), "10.88.2.2"], self.source)
        self.start_dispatched()
        self.assertIn("goes on with", self.daemon.messages())
        self.assertGreaterEqual(self.wan()["sent_packets"], 2 * PINGS, "no frames were redirected without a daemon")
        self.pings_redirected()
        # Another port is another instance: its program takes the place of this one behind the same relay.
        before = run(["ip", "-o", "-d", "link", "show", "lan0"], self.router)
        ip_batch(self.router, ["link add ex0 type veth peer name ex1", "link set ex0 up", "link set ex1 up"])
        (self.folder / "policy.yaml").write_text(DISPATCHED.replace("transitions", "  more: {device: ex0, rate: 1mbit}\ntransitions"))
        self.daemon.signal(signal.SIGHUP)
        self.wait_for(lambda: "replaced the data path" in self.daemon.messages(), "the reload")
        self.assertEqual(run(["ip", "-o", "-d", "link", "show", "lan0"], self.router), before)
        self.pings_redirected()
        self.unload()
        self.assertFalse(self.attached())
        self.assertEqual(self.dispatchers(), [])

    def wait_for(self, done, what: str) -> None:
        end = time.monotonic() + PATIENCE_S
        while not done():
            self.assertLess(time.monotonic(), end, f"no {what}: {self.daemon.messages()[-2000:]}")
            time.sleep(0.05)

    @staticmethod
    def dispatchers() -> list[str]:
        folder = Path("/sys/fs/bpf/xdp")
        return sorted(path.name for path in folder.glob("dispatch*")) if folder.exists() else []

    def test_whoever_takes_it_away_meets_it_again(self) -> None:
        """No link of ours keeps others from `xdp-loader unload --all`, so sluiced looks after it."""
        self.start_dispatched()
        self.until_health("^ok$")
        before = self.program()
        run(["xdp-loader", "unload", "--all", "lan0"], self.router)
        self.wait_for(lambda: self.program() not in ("", before), "new program at lan0")
        self.until_health("^ok$")
        self.pings_redirected()

    def test_frames_of_several_buffers(self) -> None:
        """The dispatcher has the flag for them if all of its programs have; the relay does. Kernels before 6.3 do not redirect
        such frames: there it is generic mode, which makes one buffer of them."""
        self.needs_freplace()
        for namespace, device in ((self.source, "src0"), (self.router, "lan0"), (self.router, "wan0"), (self.sink, "dst0")):
            ip_batch(namespace, [f"link set {device} mtu 9000"])
        self.start_dispatched()
        self.until_health("^ok$" if KERNEL >= (6, 3) else "MTU 9000 of lan0 is above what")
        self.ping(2)
        before = self.wan()["sent_bytes"]
        run(["ping", "-q", "-M", "do", "-s", "8000", "-c", "5", "-i", "0.05", "10.88.2.2"], self.source)
        self.assertGreater(self.wan()["sent_bytes"] - before, 5 * 8000)

    def test_what_it_needs_is_named(self) -> None:
        if KERNEL >= (6, 2):  # before it sluiced keeps the capability for another reason
            said = self.refused(DISPATCHED)
            print(f"    without the right: {said.strip()}")
            self.assertIn("--allow-dispatcher", said)
        said = self.refused(DISPATCHED, *ALLOW, "--ephemeral")
        print(f"    without pins: {said.strip()}")
        self.assertIn("without --ephemeral", said)
        self.assertFalse(self.attached())
        self.start(POLICY)
        self.daemon.kill()
        said = self.refused(DISPATCHED, *ALLOW)
        print(f"    attached directly: {said.strip()}")
        self.assertIn("sluicectl unload", said)


class BesideOthers(Dispatcher):
    """A program before sluice and one after it, both loaded by xdp-loader."""

    def setUp(self) -> None:
        super().setUp()
        self.needs_freplace()
        self.load("first", 10)

    def unload_foreign(self, name: str) -> None:
        programs = re.findall(r"=>\s+(\d+)\s+frame_counter\s+(\d+)\s", run(["xdp-loader", "status", "lan0"], self.router))
        priority = {"first": "10", "last": "90"}[name]
        (number,) = (number for p, number in programs if p == priority)
        run(["xdp-loader", "unload", "-i", number, "lan0"], self.router)

    def counted(self, name: str) -> int:
        text = run(["bpftool", "-j", "map", "dump", "pinned", f"/sys/fs/bpf/{name}-{self.router}/frames"], self.router)
        return int.from_bytes(bytes(int(byte, 16) for byte in json.loads(text)[0]["value"]), "little")

    def counts(self) -> tuple[int, int]:
        return self.counted("first"), self.counted("last")

    def test_frames_pass_by_all_of_them_in_turn(self) -> None:
        """Also while others come and go, and with the programs of `when_full` behind the port's own."""
        self.start_dispatched(DISPATCHED.replace("to: wan", "to: wan, classes: [{name: default, when_full: [trim, drop]}]"))
        self.until_health("^ok$")
        self.load("last", 90)
        print(run(["xdp-loader", "status", "lan0"], self.router))
        self.ping(2)
        before = self.counts()
        answers, sent = self.ping(PINGS)
        after = self.counts()
        self.assertEqual(answers, PINGS)
        self.assertGreaterEqual(sent, PINGS)
        self.assertGreaterEqual(after[0] - before[0], PINGS, "the first program saw less than all frames")
        self.assertLess(after[1] - before[1], PINGS, "the last program saw frames that sluice had redirected")
        self.daemon.kill()
        self.start_dispatched((self.folder / "policy.yaml").read_text())
        self.assertIn("goes on with", self.daemon.messages())
        self.pings_redirected()
        for name, priority in (("last", 90), ("first", 10)):
            self.unload_foreign(name)
            self.pings_redirected()
            self.load(name, priority)
            self.pings_redirected()
        self.assertEqual(self.status()["health"], "ok")
        self.unload()
        before = self.counts()
        run(["ping", "-q", "-i", "0.02", "-c", str(PINGS), "10.88.2.2"], self.source)
        after = self.counts()
        self.assertGreaterEqual(min(a - b for a, b in zip(after, before)), PINGS, "the others did not stay")
