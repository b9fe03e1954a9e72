"""Network namespaces and processes of one lab, which vanish with it.

The lab lives in a private mount namespace: the names under /run/netns and everything mounted there are seen by
this process and its children only, and the kernel frees them when the last of these ends, however it ends.
"""
from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNS, _CLONE_NEWNET = 0x00020000, 0x40000000
_MS_REC, _MS_PRIVATE = 0x4000, 1 << 18
_PR_SET_PDEATHSIG = 1


class LabError(RuntimeError):
    """What failed, on what, and the output of the tool that failed."""


def _mount(source: str, target: str, kind: str | None, flags: int) -> None:
    kind_bytes = kind.encode() if kind else None
    if _libc.mount(source.encode(), target.encode(), kind_bytes, flags, None) != 0:
        raise LabError(f"mount {target}: {os.strerror(ctypes.get_errno())} (run as root)")


def enter_private_mounts() -> None:
    """Once per process: own /run/netns and own bpffs, invisible outside."""
    if os.environ.get("SLUICE_LAB_MOUNTS") == str(os.getpid()):
        return
    if _libc.unshare(_CLONE_NEWNS) != 0:
        raise LabError(f"unshare mount namespace: {os.strerror(ctypes.get_errno())} (run as root)")
    _mount("none", "/", None, _MS_REC | _MS_PRIVATE)
    os.makedirs("/run/netns", exist_ok=True)
    _mount("tmpfs", "/run/netns", "tmpfs", 0)
    _mount("bpf", "/sys/fs/bpf", "bpf", 0)
    os.environ["SLUICE_LAB_MOUNTS"] = str(os.getpid())


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def in_namespace(namespace: str, argv: list[str]) -> list[str]:
    """nsenter keeps the lab's own mounts (bpffs); `ip netns exec` would hide them."""
    return ["nsenter", f"--net=/run/netns/{namespace}", *argv]


@contextmanager
def inside(namespace: str) -> Iterator[None]:
    """This thread works in the namespace; sockets made here stay there."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    there = os.open(f"/run/netns/{namespace}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.setns(there, _CLONE_NEWNET) != 0:
            raise LabError(f"enter {namespace}: {os.strerror(ctypes.get_errno())}")
        yield
    finally:
        _libc.setns(home, _CLONE_NEWNET)
        os.close(there)
        os.close(home)


def run(argv: list[str], namespace: str | None = None, text: str | None = None) -> str:
    """Runs a tool to its end and returns its output; an error carries what it printed."""
    command = in_namespace(namespace, argv) if namespace else argv
    done = subprocess.run(command, input=text, capture_output=True, text=True, preexec_fn=_die_with_parent)
    if done.returncode != 0:
        raise LabError(f"{' '.join(argv)}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def ip_batch(namespace: str, lines: list[str]) -> None:
    run(["ip", "-batch", "-"], namespace, "\n".join(lines) + "\n")


class Process:
    """A child in a namespace; its output goes to files, it is ended by its pid only."""

    def __init__(self, name: str, namespace: str, argv: list[str], folder: Path) -> None:
        self.name = name
        self.out, self.err = folder / f"{name}.out", folder / f"{name}.err"
        with self.out.open("w") as out, self.err.open("w") as err:
            self._child = subprocess.Popen(in_namespace(namespace, argv), stdin=subprocess.DEVNULL, stdout=out,
                                           stderr=err, preexec_fn=_die_with_parent)

    @property
    def pid(self) -> int:
        return self._child.pid

    def exit_code(self) -> int | None:
        return self._child.poll()

    def alive(self) -> bool:
        return self._child.poll() is None

    def output(self) -> str:
        return self.out.read_text()

    def messages(self) -> str:
        return (self.err.read_text() + self.out.read_text()).strip()

    def wait_ready(self, timeout_s: float = 10) -> None:
        """Until a line of its output or log contains the word ready."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            if "ready" in self.messages():
                return
            if not self.alive():
                break
            time.sleep(0.02)
        raise LabError(f"{self.name} did not become ready: {self.messages()}")

    def request_line(self, number: int, timeout_s: float = 2) -> str:
        """Sends a signal that makes the process print one more line, and returns that line."""
        before = self.output().count("\n")
        self.signal(number)
        end = time.monotonic() + timeout_s
        while self.output().count("\n") == before and time.monotonic() < end and self.alive():
            time.sleep(0.01)
        return self.output().splitlines()[-1]

    def signal(self, number: int) -> None:
        if self.alive():
            self._child.send_signal(number)

    def stop(self, timeout_s: float = 5) -> None:
        """SIGTERM, then SIGKILL when it does not end."""
        self.signal(signal.SIGTERM)
        try:
            self._child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self._child.wait()
