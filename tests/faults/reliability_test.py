"""docs/reliability.md names tests that exist."""
from __future__ import annotations

import difflib
import re
import unittest
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]
PAGE = TREE / "docs/reliability.md"


def cases() -> set[str]:
    """Every C++ case as Suite.Case, every Python one as file.Class.test, every file by its name."""
    found: set[str] = set()
    for path in (TREE / "tests").rglob("*"):
        found.add(path.name)
        if path.suffix == ".cpp":
            for suite, case in re.findall(r"^(?:TYPED_)?TEST(?:_F|_P)?\((\w+),\s*(\w+)\)", path.read_text(), re.M):
                found.add(f"{suite}.{case}")
        elif path.suffix == ".py":
            for klass, body in re.findall(r"^class (\w+)[^\n]*:\n((?:(?:[ \t][^\n]*)?\n)*)", path.read_text(), re.M):
                found |= {f"{path.stem}.{klass}.{name}" for name in re.findall(r"^    def (test_\w+)", body, re.M)}
    return found


class Page(unittest.TestCase):
    def rows(self) -> list[list[str]]:
        cells = [line.strip("|").split("|") for line in PAGE.read_text().splitlines() if line.startswith("|")]
        return [row for row in cells if row[0].strip() not in ("fault", "---")]

    def test_every_row_names_tests_that_exist(self) -> None:
        rows, existing = self.rows(), cases()
        self.assertGreater(len(rows), 25)
        for row in rows:
            self.assertEqual(len(row), 3, row)
            named = re.findall(r"`([\w.]+)`", row[2])
            self.assertTrue(named, row)
            for name in named:
                self.assertTrue(name in existing, f"{row[0].strip()}: {PAGE.name} names {name}, which is not there; "
                                                      f"perhaps {difflib.get_close_matches(name, existing, 2, 0.5)}")

    def test_the_check_can_fail(self) -> None:
        self.assertNotIn("Routing.NoSuchCase", cases())
        self.assertIn("start_faults.Start.test_two_daemons", cases())


if __name__ == "__main__":
    unittest.main()
