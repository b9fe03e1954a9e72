"""What a process holds: memory, descriptors, BPF memory. For tests that ask whether any of it grows."""
from __future__ import annotations

from pathlib import Path


def resident_kib(pid: int) -> int:
    rows = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(row.split()[1]) for row in rows if row.startswith("VmRSS:"))


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def threads(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def bpf_bytes(pid: int) -> int:
    """Memory of the maps and programs that the process holds, each counted once."""
    found: dict[str, int] = {}
    for info in Path(f"/proc/{pid}/fdinfo").iterdir():
        try:
            rows = dict(row.split(":", 1) for row in info.read_text().splitlines() if ":" in row)
        except FileNotFoundError:
            continue  # closed meanwhile
        for kind in ("map_id", "prog_id"):
            if kind in rows and "memlock" in rows:
                found[kind + rows[kind]] = int(rows["memlock"])
    return sum(found.values())
