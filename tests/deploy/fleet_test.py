"""Kubernetes manifests, container build file and Ansible role, as far as they can be judged without a cluster."""
from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

import yaml
from kubernetes import client

SOURCE = Path(__file__).resolve().parents[2]
DEPLOY = SOURCE / "deploy"
BUILD = Path(os.environ.get("SLUICE_BUILD_DIR", SOURCE / "build"))
SLUICECTL = BUILD / "controller/cli/sluicectl"
KINDS = {("v1", "Namespace"): "V1Namespace", ("apps/v1", "DaemonSet"): "V1DaemonSet"}


def load(name: str) -> dict:
    return yaml.safe_load((DEPLOY / "kubernetes" / name).read_text())


class Answer:
    """What the API client wants to read a body from."""

    def __init__(self, text: str) -> None:
        self.data = text


def through_the_schema(manifest: dict) -> dict:
    """The manifest as the API's own types carry it: unknown keys are lost, wrong types and missing keys raise."""
    api = client.ApiClient()
    typed = api.deserialize(Answer(json.dumps(manifest)), KINDS[manifest["apiVersion"], manifest["kind"]])
    return api.sanitize_for_serialization(typed)


class Kubernetes(unittest.TestCase):
    def test_manifests_fit_the_api_types(self) -> None:
        for name in load("kustomization.yaml")["resources"]:
            with self.subTest(name):
                manifest = load(name)
                self.assertEqual(through_the_schema(manifest), manifest)

    def test_the_check_sees_mistakes(self) -> None:
        manifest = load("daemonset.yaml")
        manifest["spec"]["template"]["spec"]["hostNetwrk"] = True
        self.assertNotEqual(through_the_schema(manifest), manifest)
        del manifest["spec"]["selector"]
        with self.assertRaises(ValueError):
            through_the_schema(manifest)

    def test_kustomization_names_files_that_exist(self) -> None:
        kustomization = load("kustomization.yaml")
        files = kustomization["resources"] + [f for c in kustomization["configMapGenerator"] for f in c["files"]]
        for name in files:
            self.assertTrue((DEPLOY / "kubernetes" / name).is_file(), name)

    def test_pod_hangs_together(self) -> None:
        spec = load("daemonset.yaml")["spec"]
        pod = spec["template"]["spec"]
        container = pod["containers"][0]
        self.assertEqual(spec["selector"]["matchLabels"], spec["template"]["metadata"]["labels"])
        self.assertEqual({m["name"] for m in container["volumeMounts"]}, {v["name"] for v in pod["volumes"]})
        self.assertIn(pod["volumes"][0]["configMap"]["name"],
                      [c["name"] for c in load("kustomization.yaml")["configMapGenerator"]])
        self.assertIn(container["image"], [i["name"] for i in load("kustomization.yaml")["images"]])
        policy_folder = next(m["mountPath"] for m in container["volumeMounts"] if m["name"] == "policy")
        self.assertEqual(container["args"][container["args"].index("--policy") + 1], f"{policy_folder}/policy.yaml")
        self.assertFalse(any("subPath" in mount for mount in container["volumeMounts"]))
        self.assertEqual(set(container["securityContext"]["capabilities"]["add"]), {"BPF", "NET_ADMIN", "PERFMON"})

    def test_capabilities_are_those_of_the_unit(self) -> None:
        unit = (DEPLOY / "systemd/sluiced.service").read_text()
        granted = re.search(r"^CapabilityBoundingSet=(.*)$", unit, re.M)[1].replace("CAP_", "").split()
        container = load("daemonset.yaml")["spec"]["template"]["spec"]["containers"][0]
        self.assertEqual(set(container["securityContext"]["capabilities"]["add"]), set(granted))

    def test_daemon_knows_its_arguments(self) -> None:
        known = subprocess.run([BUILD / "controller/sluiced", "--help"], capture_output=True, text=True).stdout
        arguments = load("daemonset.yaml")["spec"]["template"]["spec"]["containers"][0]["args"]
        for argument in arguments:
            if argument.startswith("--"):
                self.assertIn(argument, known)

    def test_policy_is_one(self) -> None:
        subprocess.run([SLUICECTL, "check", DEPLOY / "kubernetes/policy.yaml"], check=True, capture_output=True)


class Ansible(unittest.TestCase):
    environment = {**os.environ, "ANSIBLE_ROLES_PATH": str(DEPLOY / "ansible/roles"), "LC_ALL": "C.UTF-8",
                   "ANSIBLE_LOCALHOST_WARNING": "False"}

    def ansible(self, *argv: str) -> str:
        done = subprocess.run(argv, capture_output=True, text=True, env=self.environment)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_playbook_is_valid(self) -> None:
        out = self.ansible("ansible-playbook", "--syntax-check", "-i", "edge1,", str(DEPLOY / "ansible/site.yml"))
        self.assertIn("site.yml", out)

    def test_policy_of_the_template_is_one(self) -> None:
        template = DEPLOY / "ansible/roles/sluice/templates/policy.yaml.j2"
        defaults = DEPLOY / "ansible/roles/sluice/defaults/main.yml"
        for rate in ("", "40mbit"):
            with tempfile.TemporaryDirectory() as folder:
                self.ansible("ansible", "localhost", "-c", "local", "-m", "ansible.builtin.template", "-a",
                             f"src={template} dest={folder}/policy.yaml", "-e", f"@{defaults}", "-e",
                             f"sluice_wan_rate='{rate}'", "-e", "ansible_python_interpreter=/usr/bin/python3")
                text = Path(folder, "policy.yaml").read_text()
                self.assertEqual(rate in text, True)
                subprocess.run([SLUICECTL, "check", f"{folder}/policy.yaml"], check=True, capture_output=True)

    def test_verbs_are_those_of_sluicectl(self) -> None:
        tasks = (DEPLOY / "ansible/roles/sluice/tasks/main.yml").read_text()
        known = subprocess.run([SLUICECTL, "--help"], capture_output=True, text=True).stdout
        for verb in set(re.findall(r"sluicectl ([a-z]+)", tasks)):
            self.assertRegex(known, rf"(?m)^  {verb} ")


class Container(unittest.TestCase):
    def test_build_file_uses_what_the_tree_has(self) -> None:
        text = (DEPLOY / "container/Containerfile").read_text()
        self.assertIn("./dev package", text)
        self.assertRegex((SOURCE / "dev").read_text(), r"(?m)^package\)")
        for stage in re.findall(r"^FROM (\S+)", text, re.M):
            self.assertTrue(stage.startswith("docker.io/library/debian:12"), stage)


if __name__ == "__main__":
    unittest.main()
