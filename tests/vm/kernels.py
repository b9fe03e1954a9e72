#!/usr/bin/env python3
"""Debian's kernels, unpacked for the tests and not installed: type information of kernel and drivers, image, modules.

    kernels.py FOLDER      makes FOLDER/6.1 and FOLDER/6.12, each with vmlinux, btf/vmlinux, modules/*.ko, `builtin`
                           (names of what is in the image instead) and `package`

Packages come from the sources that this machine's apt knows. What is there already is not fetched again.
"""
from __future__ import annotations

import lzma
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

# Series, and the package that always depends on the newest image of it.
SERIES = {"6.1": "linux-image-amd64", "6.12": "linux-image-6.12-amd64"}
# Drivers with a ring reader, and what guests make a network of. What these need is found by itself.
DRIVERS = ("tun", "veth", "virtio_net", "virtio_ring", "ixgbe", "igb", "igc", "i40e", "ice", "mlx5_core")
GUEST = ("virtio_pci", "cls_bpf", "sch_ingress", "act_bpf", "act_mirred", "dummy", "sch_fq_codel", "sch_htb", "sch_tbf",
         "sch_cake", "sch_codel", "sch_netem", "8021q", "pppoe", "tcp_bbr", "tcp_cubic")


def run(*argv: str, **options) -> subprocess.CompletedProcess:
    done = subprocess.run(argv, capture_output=True, **options)
    if done.returncode != 0:
        raise SystemExit(f"kernels: {' '.join(argv)}: {done.stderr.decode(errors='replace').strip()}")
    return done


def image_package(meta: str) -> str:
    """The image that a meta package stands for now."""
    text = run("apt-cache", "depends", meta).stdout.decode()
    found = re.search(r"Depends: (linux-image-\d\S+)", text)
    if not found:
        raise SystemExit(f"kernels: apt knows no image for {meta}; needs bookworm and bookworm-security "
                         "in /etc/apt/sources.list.d, and `apt-get update`")
    return found.group(1)


def unpack(package: str, folder: Path, work: Path) -> None:
    """Only the modules that the tests use, and those that they need."""
    run("apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", package, cwd=work)
    deb = next(work.glob(f"{package}_*.deb"))
    run("sh", "-c", f"dpkg-deb --fsys-tarfile {deb} | tar -x -C {work}")
    builtin = {Path(name).stem for name in next(work.rglob("modules.builtin")).read_text().split()}
    files = {path.name.split(".")[0].replace("-", "_"): path for path in work.rglob("*.ko*")}
    (folder / "modules").mkdir(parents=True)
    wanted = list(DRIVERS + GUEST)
    for name in wanted:  # grows while it is walked
        if name in files:
            data = files[name].read_bytes()
            data = lzma.decompress(data) if files[name].suffix == ".xz" else data
            (folder / "modules" / f"{name}.ko").write_bytes(data)
            wanted += [need for need in needs(data) if need not in wanted]
        elif name not in builtin:
            raise SystemExit(f"kernels: {package} has no module {name}")
    image = next((work / "boot").glob("vmlinuz-*"))
    (folder / "release").write_text(image.name.removeprefix("vmlinuz-"))
    (folder / "builtin").write_text("\n".join(sorted(builtin)))
    (folder / "btf").mkdir()
    elf = decompress(image.read_bytes())
    (folder / "vmlinux").write_bytes(elf)
    (folder / "btf" / "vmlinux").write_bytes(section(elf, b".BTF"))


def needs(module: bytes) -> list[str]:
    """Modules that this one's .modinfo names."""
    found = re.search(rb"\0depends=([^\0]*)\0", module)
    return found[1].decode().replace("-", "_").split(",") if found and found[1] else []


def load_order(folder: Path, names: tuple[str, ...]) -> list[str]:
    """These modules and what they need, in the order in which they can be loaded; without what is in the image."""
    order: list[str] = []

    def add(name: str) -> None:
        path = folder / "modules" / f"{name}.ko"
        if name in order or not path.exists():
            return
        for need in needs(path.read_bytes()):
            add(need)
        order.append(name)

    for name in names:
        if not (folder / "modules" / f"{name}.ko").exists() and name not in (folder / "builtin").read_text().split():
            raise SystemExit(f"kernels: no module {name} in {folder}; add it to GUEST in {__file__}")
        add(name)
    return order


def decompress(image: bytes) -> bytes:
    """The ELF file in a bzImage (Documentation/arch/x86/boot.rst: setup_sects, payload_offset, payload_length)."""
    setup_sectors = image[0x1f1] or 4
    offset, length = struct.unpack_from("<II", image, 0x248)
    begin = (setup_sectors + 1) * 512 + offset
    payload = image[begin:begin + length]
    if payload.startswith(b"\xfd7zXZ\0"):
        return lzma.LZMADecompressor().decompress(payload)
    if payload.startswith(b"\x28\xb5\x2f\xfd"):
        return run("zstd", "-dcq", "-", input=payload[:-4]).stdout  # behind it stands the size
    raise SystemExit(f"kernels: unknown compression of the image, begins with {payload[:6].hex()}")


def section(elf: bytes, name: bytes) -> bytes:
    table, = struct.unpack_from("<Q", elf, 0x28)
    entry_size, count, names_index = struct.unpack_from("<HHH", elf, 0x3a)

    def header(i: int) -> tuple[int, int, int]:
        name_at, _, _, _, offset, size = struct.unpack_from("<IIQQQQ", elf, table + i * entry_size)
        return name_at, offset, size

    names = header(names_index)[1]
    for i in range(count):
        name_at, offset, size = header(i)
        if elf[names + name_at:elf.index(b"\0", names + name_at)] == name:
            return elf[offset:offset + size]
    raise SystemExit(f"kernels: the image has no section {name.decode()}")


def unpacked_for(folder: Path) -> tuple[str, ...]:
    """The modules that were asked for when this folder was made."""
    names = folder / "names"
    return tuple(names.read_text().split()) if names.exists() else ()


def prepare(root: Path) -> None:
    for series, meta in SERIES.items():
        folder = root / series
        if unpacked_for(folder) == DRIVERS + GUEST:
            print(f"{series}: {(folder / 'package').read_text()}")
            continue
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        package = image_package(meta)
        with tempfile.TemporaryDirectory() as work:
            unpack(package, folder, Path(work))
        (folder / "package").write_text(package)
        (folder / "names").write_text(" ".join(DRIVERS + GUEST))
        print(f"{series}: {package}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    prepare(Path(sys.argv[1]))
