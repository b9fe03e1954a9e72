#!/usr/bin/env python3
"""What a program was hardened with, from its ELF file: `checksec.py PROGRAM...` prints it, exit 1 if something is missing.

`--linked` asks only for what the linker does: builds that are not for packages have no stack protector and no fortified
calls (SLUICE_HARDENED). Control-flow enforcement is not asked for: Debian 12's own start-up objects lack the note, so no
program that is linked with them has it.
"""
from __future__ import annotations

import argparse
import re
import subprocess


def readelf(option: str, path: str) -> str:
    return subprocess.run(["readelf", "-W", option, path], check=True, capture_output=True, text=True).stdout


def facts(path: str) -> dict[str, bool]:
    header, segments, dynamic = readelf("-h", path), readelf("-l", path), readelf("-d", path)
    symbols = readelf("--dyn-syms", path)
    stack = re.search(r"GNU_STACK.*", segments)
    loads = re.findall(r"^\s*LOAD\s+\S+\s+\S+\s+\S+\s+\S+\s+\S+\s+([RWE ]{3})", segments, re.M)
    return {
        "pie": "DYN (" in header,
        "relro": "GNU_RELRO" in segments,
        "bind_now": bool(re.search(r"\(FLAGS(_1)?\).*(BIND_NOW|NOW)", dynamic)),
        "stack_not_executable": bool(stack) and "RWE" not in stack[0],
        "no_writable_code": bool(loads) and not any("W" in flags and "E" in flags for flags in loads),
        "no_text_relocations": "TEXTREL" not in dynamic,
        "no_rpath": "RPATH" not in dynamic and "RUNPATH" not in dynamic,
        "stack_protector": "__stack_chk_fail" in symbols,
        "fortified": bool(re.search(r"__(mem|str|sn|vsn|v|f|re|p)\w*_chk\b", symbols)),
    }


COMPILED = ("stack_protector", "fortified")


def main() -> int:
    parser = argparse.ArgumentParser(prog="checksec.py", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--linked", action="store_true", help="only what the linker does")
    parser.add_argument("programs", nargs="+")
    args = parser.parse_args()
    missing = 0
    for path in args.programs:
        found = {name: on for name, on in facts(path).items() if not args.linked or name not in COMPILED}
        bad = [name for name, on in found.items() if not on]
        missing += len(bad)
        print(f"{path}: " + (f"MISSING {', '.join(bad)}" if bad else f"has {', '.join(found)}"))
    return 1 if missing else 0


if __name__ == "__main__":
    raise SystemExit(main())
