#!/usr/bin/python3
"""First process of a guest: mounts, modules, then the script of the test; its result leaves by the serial lines.

ttyS1 carries what the script prints, ttyS2 afterwards its exit status and the files it left in /out, as tar.
"""
import ctypes
import io
import os
import subprocess
import tarfile
import tty

libc = ctypes.CDLL(None, use_errno=True)
FINIT_MODULE = 313  # x86-64
MOUNTS = (("proc", "/proc", "proc"), ("sysfs", "/sys", "sysfs"), ("devtmpfs", "/dev", "devtmpfs"),
          ("bpf", "/sys/fs/bpf", "bpf"), ("securityfs", "/sys/kernel/security", "securityfs"),
          ("tracefs", "/sys/kernel/tracing", "tracefs"), ("tmpfs", "/run", "tmpfs"), ("tmpfs", "/tmp", "tmpfs"))


def prepare() -> None:
    for source, target, kind in MOUNTS:
        if libc.mount(source.encode(), target.encode(), kind.encode(), 0, None) != 0:
            print(f"guest: mount {target}: {os.strerror(ctypes.get_errno())}", flush=True)
    for name in open("/modules/order").read().split():
        with open(f"/modules/{name}.ko", "rb") as file:
            if libc.syscall(FINIT_MODULE, file.fileno(), b"", 0) != 0:
                print(f"guest: module {name}: {os.strerror(ctypes.get_errno())}", flush=True)
    os.makedirs("/dev/net", exist_ok=True)
    os.makedirs("/run/lock", exist_ok=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=False)


def line(number: int) -> int:
    fd = os.open(f"/dev/ttyS{number}", os.O_WRONLY | os.O_NOCTTY)
    tty.setraw(fd)
    return fd


def main() -> None:
    os.environ.update(PATH="/usr/sbin:/usr/bin:/sbin:/bin", HOME="/root", LANG="C.UTF-8", PYTHONDONTWRITEBYTECODE="1")
    prepare()
    output, result = line(1), line(2)
    done = subprocess.run(["/usr/bin/bash", "/script"], stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/sluice")
    files = io.BytesIO()
    with tarfile.open(fileobj=files, mode="w") as archive:
        archive.add("/out", ".")
    left = memoryview(f"status {done.returncode} {len(files.getvalue())}\n".encode() + files.getvalue())
    while left:
        left = left[os.write(result, left):]
    termios_drain(output)
    termios_drain(result)


def termios_drain(fd: int) -> None:
    import termios
    termios.tcdrain(fd)


try:
    main()
except BaseException as error:  # a first process that ends is a kernel panic
    print(f"guest: {error!r}", flush=True)
os.sync()
libc.reboot(0x4321FEDC)  # power off
