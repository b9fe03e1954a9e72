#!/usr/bin/env python3
"""Makes the man pages: `make_man.py --build BUILD_DIR --out FOLDER`. One source for each fact: options, verbs and exit
codes come from the programs' own --help, the policy reference from docs/policy.md (itself made from the parser's
table), prose from the .md file beside this script. lowdown(1) turns the Markdown into roff.
"""
from __future__ import annotations

import argparse
import re
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def help_of(program: Path, *words: str) -> str:
    done = subprocess.run([program, *words, "--help"], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"make_man: {program} {' '.join(words)} --help: {done.stderr}")
    return done.stdout


def sections(text: str) -> dict[str, list[tuple[str, str]]]:
    """The lists of a CLI11 help text: title → (term, explanation)."""
    found: dict[str, list[tuple[str, str]]] = {}
    current: list[tuple[str, str]] | None = None
    for line in text.splitlines():
        if re.fullmatch(r"[A-Z][A-Za-z ]*:", line):
            current = found.setdefault(line[:-1], [])
        elif line and not line.startswith(" "):
            current = None
        elif current is not None and line.startswith("  ") and line[2] != " ":
            term, _, rest = line[2:].partition("  ")
            current.append((term.strip(), rest.strip()))
        elif current and line.strip():
            term, rest = current[-1]
            current[-1] = (term, f"{rest} {line.strip()}".strip())
    return found


def term_markdown(term: str) -> str:
    """`-o,--output TEXT:{text,json}=text` → bold options, plain value."""
    options, _, value = term.partition(" ")
    value = value.replace("TEXT:{", "{").replace(" REQUIRED", "").replace(":FLOAT", "")
    value = re.sub(r"^TEXT\b", "VALUE" if options.startswith("-") else "", value).strip()
    default = ""
    if match := re.search(r"=([^={}]+)$", value):
        value, default = value[: match.start()], f" (default: {match[1]})"
    return ", ".join(f"**{word}**" for word in options.split(",")) + (f" {escape(value)}" if value else "") + default


def escape(text: str) -> str:
    return re.sub(r"([*_<>|\\])", r"\\\1", text)


def definition_list(rows: list[tuple[str, str]]) -> str:
    return "\n".join(f"{term_markdown(term)}\n\n: {escape(text) or '-'}\n" for term, text in rows if term)


def footer(text: str, word: str) -> str:
    """What follows `word` at the end of a help text."""
    _, found, rest = text.partition(f"\n{word}")
    return rest.strip().split("\n\n")[0] if found else ""


def options_of(program: Path) -> str:
    return definition_list(sections(help_of(program))["Options"])


def verbs_of(program: Path) -> str:
    parts = []
    for verb, what in sections(help_of(program))["Subcommands"]:
        text = help_of(program, verb)
        lists = sections(text)
        usage = re.search(r"^Usage: .*?sluicectl (.*)$", text, re.M)
        words = usage[1].replace("[OPTIONS] ", "").replace("[OPTIONS]", "").strip() if usage else verb
        parts.append(f"## {escape(words)}\n\n{escape(what)}.\n")
        rows = lists.get("Positionals", []) + [row for row in lists.get("Options", []) if "--help" not in row[0]]
        if rows:
            parts.append(definition_list(rows))
        if example := footer(text, "Example:"):
            parts.append("Example:\n\n" + "\n".join(f"    {line.strip()}" for line in example.splitlines()) + "\n")
    return "\n".join(parts)


def exit_codes_of(program: Path) -> str:
    codes = footer(help_of(program), "Exit codes:")
    rows = [code.strip().split(" ", 1) for code in codes.split(",")]
    return "\n".join(f"**{number}**\n\n: {escape(meaning)}\n" for number, meaning in rows)


def row_cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]


def policy_reference() -> str:
    """docs/policy.md without its title; tables become lists, which a terminal of any width can show."""
    out, headings = [], None
    for line in (ROOT / "docs/policy.md").read_text().splitlines():
        if line.startswith("# ") or line.startswith("<!--"):
            continue
        line = re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", line)
        if line.startswith("|"):
            cells = row_cells(line)
            if headings is None:
                headings = cells
            elif not set(line) <= set("|-: "):
                details = " ".join(f"*{name}*: {cell}." for name, cell in zip(headings[1:-1], cells[1:-1])
                                   if cell not in ("", "-"))
                out += [f"**{cells[0].strip('`')}**", "", f": {cells[-1]} {details}".rstrip(), ""]
            continue
        headings = None
        out.append(re.sub(r"^#(#+ )", r"\1", line))
    return "\n".join(out)


def roff(markdown: str, name: str, section: str, version: str) -> str:
    lines = subprocess.run(["lowdown", "-s", "-Tman", "--out-no-smarty", "--parse-no-metadata", "-M", f"title={name.upper()}", "-M", f"section={section}", "-M",
                            f"volume=sluice {version}", "-M", "source=sluice", "-M", "date=" + change_date()],
                           input=markdown, capture_output=True, text=True, check=True).stdout
    return lines


def change_date() -> str:
    """Of the newest release in the package's change log, so that two builds of one tree are equal."""
    found = re.search(r"^ -- .*>  \w+, (\d+ \w+ \d+)", (ROOT / "deploy/debian/changelog").read_text(), re.M)
    return found[1] if found else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--version", default="")
    arguments = parser.parse_args()
    daemon, cli = arguments.build / "controller/sluiced", arguments.build / "controller/cli/sluicectl"
    parts = {"@DAEMON_OPTIONS@": lambda: options_of(daemon), "@CLI_OPTIONS@": lambda: options_of(cli),
             "@CLI_VERBS@": lambda: verbs_of(cli), "@EXIT_CODES@": lambda: exit_codes_of(cli),
             "@POLICY@": policy_reference}
    arguments.out.mkdir(parents=True, exist_ok=True)
    for source in sorted(HERE.glob("*.md")):
        text = source.read_text()
        for mark, make in parts.items():
            if mark in text:
                text = text.replace(mark, make())
        name, section = source.stem.rsplit(".", 1)
        (arguments.out / f"{name}.{section}").write_text(roff(text, name, section, arguments.version))


if __name__ == "__main__":
    main()
