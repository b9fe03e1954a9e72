#!/usr/bin/env python3
"""Guests: a kernel of Debian under qemu (TCG: no hardware support needed), a script of ours inside, its result outside.

    guest.py --kernel build/kernels/6.1 [--program FILE...] [--tree FOLDER...] [--virtual-time] SCRIPT

runs the shell text SCRIPT in the guest's /sluice, which has the programs in build/ and the folders of the repository
that are asked for, and prints what it prints. As a module: class Guest.

With virtual time one instruction is one nanosecond, on one CPU, and idle time passes at once: how busy this machine is
cannot be seen from inside, and a second run gives the same figures to the last digit.
"""
from __future__ import annotations

import argparse
import io
import os
import signal
import shutil
import subprocess
import tarfile
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import kernels
from initrd import Initrd

HERE = Path(__file__).resolve().parent
HOME = "sluice"  # of the guest
QEMU = "qemu-system-x86_64"
MODULES = ("tun", "veth", "sch_ingress", "cls_bpf", "sch_htb")
VIRTUAL_TIME = ("-icount", "shift=0,sleep=off", "-seed", "1", "-rtc", "base=2024-01-01,clock=vm")


class GuestError(RuntimeError):
    """Why there is no result: no qemu, no kernel, a guest that did not come up or did not end."""


@dataclass
class Result:
    status: int  # of the script
    output: str
    files: dict[str, bytes]  # what it left in /out
    console: str  # the kernel's messages
    wall_s: float


@dataclass
class Guest:
    kernel: Path  # a folder that kernels.py made
    initrd: Initrd
    modules: tuple[str, ...] = MODULES
    cpus: int = 2
    memory_mib: int = 1024
    virtual_time: bool = False
    devices: list[str] = field(default_factory=list)  # more arguments for qemu
    namespace: bool = False  # qemu gets a network namespace of its own

    def run(self, script: str, timeout_s: float) -> Result:
        """The script's result; GuestError when there is none."""
        if not shutil.which(QEMU):
            raise GuestError(f"{QEMU} is not installed: apt-get install qemu-system-x86 (./dev test does it)")
        self._add_modules()
        self.initrd.add("init", (HERE / "guest_init.py").read_bytes(), 0o755)
        self.initrd.add("script", script.encode())
        with tempfile.TemporaryDirectory(prefix="sluice-guest-") as folder:
            self.initrd.write(Path(folder, "initrd"))
            return self._boot(Path(folder), timeout_s)

    def _add_modules(self) -> None:
        order = kernels.load_order(self.kernel, self.modules)
        for name in order:
            self.initrd.add_file(self.kernel / "modules" / f"{name}.ko", f"modules/{name}.ko")
        self.initrd.add("modules/order", " ".join(order).encode())

    def _command(self, folder: Path) -> list[str]:
        command = ["unshare", "--net"] if self.namespace else []
        command += [QEMU, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-cpu", "max",
                    "-m", str(self.memory_mib), "-kernel", str(self.kernel / "vmlinux"), "-initrd", str(folder / "initrd"),
                    "-append", "console=ttyS0 quiet loglevel=4 panic=-1 rdinit=/init random.trust_cpu=1 net.ifnames=0"]
        for name in ("console", "output", "result"):
            command += ["-serial", f"file:{folder / name}"]
        if self.virtual_time:
            command += ["-accel", "tcg,thread=single", "-smp", "1", *VIRTUAL_TIME]
        else:
            command += ["-accel", "tcg,thread=multi", "-smp", str(self.cpus)]
        return command + (self.devices or ["-nic", "none"])

    def _boot(self, folder: Path, timeout_s: float) -> Result:
        begin = time.monotonic()
        with open(folder / "qemu", "w") as log:
            qemu = subprocess.Popen(self._command(folder), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                    preexec_fn=_die_with_parent)
        try:
            qemu.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise GuestError(f"guest did not end within {timeout_s} s\n{_said(folder)}") from None
        finally:
            if qemu.poll() is None:
                qemu.kill()
                qemu.wait()
        head, _, rest = _bytes(folder, "result").partition(b"\n")
        words = head.split()
        if qemu.returncode != 0 or len(words) != 3 or len(rest) != int(words[2]):
            raise GuestError(f"guest left no result (qemu: exit status {qemu.returncode})\n{_said(folder)}")
        with tarfile.open(fileobj=io.BytesIO(rest)) as archive:
            files = {member.name.removeprefix("./"): archive.extractfile(member).read()
                     for member in archive.getmembers() if member.isfile()}
        return Result(int(words[1]), _bytes(folder, "output").decode(errors="replace"), files,
                      _bytes(folder, "console").decode(errors="replace"), time.monotonic() - begin)


def _die_with_parent() -> None:
    import ctypes
    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)


def _bytes(folder: Path, name: str) -> bytes:
    return (folder / name).read_bytes() if (folder / name).exists() else b""


def _said(folder: Path) -> str:
    return "\n".join(f"--- {name}\n{_bytes(folder, name).decode(errors='replace')[-4000:]}"
                     for name in ("qemu", "console", "output"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kernel", type=Path, required=True)
    parser.add_argument("--program", type=Path, action="append", default=[], help="goes to /bin of the guest")
    parser.add_argument("--tree", type=Path, action="append", default=[], help="folder that goes to / of the guest")
    parser.add_argument("--module", action="append", default=list(MODULES))
    parser.add_argument("--virtual-time", action="store_true")
    parser.add_argument("--timeout", type=float, default=300)
    parser.add_argument("script")
    args = parser.parse_args()
    initrd = Initrd()
    initrd.add_system()
    for program in args.program:
        initrd.add_program(program, f"{HOME}/build/{program.name}")
    for tree in args.tree:
        initrd.add_tree(tree, f"{HOME}/{tree.resolve().relative_to(HERE.parents[1])}", {"__pycache__"})
    guest = Guest(args.kernel, initrd, tuple(args.module), virtual_time=args.virtual_time)
    try:
        result = guest.run(args.script, args.timeout)
    except GuestError as error:
        raise SystemExit(f"guest: {error}") from None
    print(result.output, end="")
    if result.console.strip():
        print(f"--- console\n{result.console.strip()}")
    print(f"--- status {result.status}, {result.wall_s:.1f} s")
    return result.status


if __name__ == "__main__":
    os.chdir(os.environ.get("PWD", "."))
    raise SystemExit(main())
