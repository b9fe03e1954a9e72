"""Every file in policies/ is a policy: to the JSON Schema that editors use, and to sluicectl; and names that schema."""
from __future__ import annotations

import json
import os
import subprocess
import unittest
from pathlib import Path

import jsonschema
import yaml

SOURCE = Path(__file__).resolve().parents[2]
FOLDER = SOURCE / "policies"
BUILD = Path(os.environ.get("SLUICE_BUILD_DIR", SOURCE / "build"))
SLUICECTL = BUILD / "controller/cli/sluicectl"
COMPLETION_LINE = "# yaml-language-server: $schema="


class Examples(unittest.TestCase):
    files = sorted(FOLDER.glob("*.yaml"))

    def test_there_are_some(self) -> None:
        self.assertGreaterEqual(len(self.files), 5)

    def test_schema_is_a_schema_and_is_the_one_of_sluicectl(self) -> None:
        schema = json.loads((FOLDER / "schema.json").read_text())
        jsonschema.Draft7Validator.check_schema(schema)
        printed = subprocess.run([SLUICECTL, "schema"], capture_output=True, text=True, check=True).stdout
        self.assertEqual(json.loads(printed), schema)

    def test_valid_to_the_schema(self) -> None:
        validator = jsonschema.Draft7Validator(json.loads((FOLDER / "schema.json").read_text()))
        for file in self.files:
            with self.subTest(file.name):
                errors = [f"{'/'.join(map(str, e.absolute_path))}: {e.message}"
                          for e in validator.iter_errors(yaml.safe_load(file.read_text()))]
                self.assertEqual(errors, [])

    def test_schema_refuses_what_sluicectl_refuses_by_shape(self) -> None:
        validator = jsonschema.Draft7Validator(json.loads((FOLDER / "schema.json").read_text()))
        for wrong in ({"version": 1}, {"version": 2, "ports": {"a": {"device": "x"}}, "transitions": []},
                      {"version": 1, "ports": {"a": {"devise": "x"}}, "transitions": [{"from": "a", "to": "a"}]}):
            self.assertFalse(validator.is_valid(wrong), wrong)

    def test_valid_to_sluicectl(self) -> None:
        for file in self.files:
            with self.subTest(file.name):
                done = subprocess.run([SLUICECTL, "check", file], capture_output=True, text=True)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_editors_find_the_schema(self) -> None:
        for file in self.files:
            with self.subTest(file.name):
                lines = [line for line in file.read_text().splitlines() if line.startswith(COMPLETION_LINE)]
                self.assertEqual(len(lines), 1, "one completion line for editors")
                self.assertTrue((FOLDER / lines[0].removeprefix(COMPLETION_LINE)).is_file())


if __name__ == "__main__":
    unittest.main()
