"""The root file system of a guest: a newc archive of programs that are installed here, with the libraries they need.

Everything is in memory before the guest's first instruction, so that a run depends on nothing else of this machine.
Format: Documentation/driver-api/early-userspace/buffer-format.rst of the kernel.
"""
from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

# Programs that the lab and the tests call.
TOOLS = ("bash", "bpftool", "cat", "cp", "env", "ethtool", "grep", "ip", "iperf3", "ls", "mkdir", "mount", "nsenter", "ping", "rm", "sed",
         "sh", "sleep", "sysctl", "tc", "timeout", "true", "unshare")
PYTHON = Path("/usr/lib/python3.11")
# Parts of Python that nothing here imports.
PYTHON_WITHOUT = {"test", "idlelib", "lib2to3", "tkinter", "ensurepip", "distutils", "turtledemo", "pydoc_data", "site-packages",
                  "xmlrpc", "sqlite3", "dbm", "curses", "wsgiref", "venv"}
DYNLOAD_WITHOUT = ("_sqlite3", "_ssl", "_hashlib", "_curses", "_tkinter", "_dbm", "_gdbm", "readline", "nis", "_test", "_ctypes_test",
                   "_xx", "_codecs", "_lzma", "_bz2", "xx", "audioop", "ossaudiodev")


class InitrdError(RuntimeError):
    """What is missing, and where it would come from."""


class Initrd:
    """Paths and contents, written as one archive. A later entry of the same path replaces the earlier one."""

    def __init__(self) -> None:
        self._entries: dict[str, tuple[int, int, bytes, int]] = {}  # path: mode, mtime, content, device
        for link in ("bin", "lib", "lib64", "sbin"):
            self._entries[link] = (stat.S_IFLNK | 0o777, 0, f"usr/{link}".encode(), 0)
        for folder in ("proc", "sys", "dev", "run", "tmp", "etc", "root", "modules", "out", "sluice/build", "usr/lib64"):
            self._add_folder(folder)
        self._entries["dev/console"] = (stat.S_IFCHR | 0o600, 0, b"", (5 << 8) | 1)

    def _add_folder(self, path: str) -> None:
        if path and path not in self._entries:
            self._add_folder(str(Path(path).parent) if "/" in path else "")
            self._entries[path] = (stat.S_IFDIR | 0o755, 0, b"", 0)

    def add(self, path: str, content: bytes, mode: int = 0o644, mtime: int = 0) -> None:
        """`path` without a leading slash."""
        path = re.sub(r"^(bin|lib|lib64|sbin)/", r"usr/\1/", path)
        self._add_folder(str(Path(path).parent) if "/" in path else "")
        self._entries[path] = (stat.S_IFREG | mode, mtime, content, 0)

    def add_file(self, source: Path, path: str | None = None) -> None:
        """A file of this machine, where it is here or at `path`; times are kept, Python checks them."""
        info = source.stat()
        self.add((path or str(source)).lstrip("/"), source.read_bytes(), info.st_mode & 0o777, int(info.st_mtime))

    def add_tree(self, source: Path, path: str, without: set[str] = frozenset()) -> None:
        for folder, folders, files in os.walk(source):
            folders[:] = [name for name in sorted(folders) if name not in without]
            for name in sorted(files):
                file = Path(folder, name)
                if file.is_file():
                    self.add_file(file, f"{path}/{file.relative_to(source)}")

    def add_program(self, source: Path, path: str | None = None) -> None:
        """An executable and its libraries. Ours come without debug information: it is most of their size."""
        if path:
            with tempfile.NamedTemporaryFile() as stripped:
                _run("objcopy", "--strip-debug", str(source), stripped.name)
                self.add(path, Path(stripped.name).read_bytes(), 0o755)
        else:
            self.add_file(source)
        for library in libraries(source):
            if library.lstrip("/") not in self._entries:
                self.add_file(Path(library))

    def add_system(self) -> None:
        """TOOLS and Python, as Debian has them."""
        for name in TOOLS:
            found = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
            if not found:
                raise InitrdError(f"initrd: {name} is not installed; ./dev test installs what guests need")
            self.add_program(Path(found))
        self.add_program(Path("/usr/bin/python3").resolve())
        self._entries["usr/bin/python3"] = (stat.S_IFLNK | 0o777, 0, b"python3.11", 0)
        self.add_tree(PYTHON, str(PYTHON).lstrip("/"), PYTHON_WITHOUT | {"lib-dynload"} |
                      {path.name for path in PYTHON.glob("config-*")})
        for file in sorted(PYTHON.glob("lib-dynload/*.so")):
            if not file.name.startswith(DYNLOAD_WITHOUT):
                self.add_program(file)

    def write(self, target: Path) -> None:
        with target.open("wb") as out:
            for inode, (path, (mode, mtime, content, device)) in enumerate(sorted(self._entries.items()), 1):
                _entry(out, inode, path, mode, mtime, content, device)
            _entry(out, 0, "TRAILER!!!", 0, 0, b"", 0)


def _entry(out, inode: int, path: str, mode: int, mtime: int, content: bytes, device: int) -> None:
    name = path.encode() + b"\0"
    fields = (inode, mode, 0, 0, 1, mtime, len(content), 0, 0, device >> 8, device & 0xff, len(name), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name
    out.write(head + b"\0" * (-len(head) % 4) + content + b"\0" * (-len(content) % 4))


def libraries(program: Path) -> list[str]:
    """Shared libraries of an ELF file, the loader included."""
    text = subprocess.run(["ldd", str(program)], capture_output=True, text=True).stdout
    if "not found" in text:
        raise InitrdError(f"initrd: {program} lacks libraries: {text}")
    return re.findall(r"(/\S+) \(0x", text)


def _run(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode != 0:
        raise InitrdError(f"initrd: {' '.join(argv)}: {done.stderr.strip()}")
