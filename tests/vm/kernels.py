#!/usr/bin/env python3
"""Debian's kernels, unpacked for the tests and not installed: type information of kernel and drivers, image, modules.

    kernels.py FOLDER      makes FOLDER/6.1 and FOLDER/6.12, each with vmlinuz, btf/vmlinux, modules/*.ko and `version`

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
# Drivers with a ring reader, and what a guest needs to boot from a shared folder and to make a network.
DRIVERS = ("tun", "veth", "virtio_net", "virtio_ring", "ixgbe", "igb", "igc", "i40e", "ice", "mlx5_core")
GUEST = ("virtio", "virtio_pci", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "failover", "net_failover",
         "9p", "9pnet", "9pnet_virtio", "fscache", "netfs", "overlay", "cls_bpf", "sch_ingress", "act_bpf", "dummy",
         "sch_fq_codel", "sch_htb", "sch_tbf", "tap", "virtio_console")


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
    """Only the members that the tests use: a whole image is 400 MB."""
    run("apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", package, cwd=work)
    deb = next(work.glob(f"{package}_*.deb"))
    names = "|".join(DRIVERS + GUEST)
    listing = run("sh", "-c", f"dpkg-deb --fsys-tarfile {deb} | tar -t").stdout.decode().split()
    wanted = [name for name in listing
              if re.search(rf"/(?:{names})\.ko(?:\.xz)?$|^\./boot/vmlinuz-|/modules\.builtin$", name)]
    (work / "wanted").write_text("\n".join(wanted) + "\n")
    run("sh", "-c", f"dpkg-deb --fsys-tarfile {deb} | tar -x -C {work} -T {work}/wanted")
    (folder / "modules").mkdir(parents=True)
    for path in work.rglob("*.ko*"):
        data = path.read_bytes()
        (folder / "modules" / path.name.removesuffix(".xz")).write_bytes(
            lzma.decompress(data) if path.suffix == ".xz" else data)
    image = next((work / "boot").glob("vmlinuz-*"))
    shutil.copy(image, folder / "vmlinuz")
    (folder / "release").write_text(image.name.removeprefix("vmlinuz-"))
    (folder / "btf").mkdir()
    (folder / "btf" / "vmlinux").write_bytes(section(decompress(image.read_bytes()), b".BTF"))


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


def prepare(root: Path) -> None:
    for series, meta in SERIES.items():
        folder = root / series
        if (folder / "package").exists():
            print(f"{series}: {(folder / 'package').read_text()}")
            continue
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        package = image_package(meta)
        with tempfile.TemporaryDirectory() as work:
            unpack(package, folder, Path(work))
        (folder / "package").write_text(package)
        print(f"{series}: {package}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    prepare(Path(sys.argv[1]))
