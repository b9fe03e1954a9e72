"""The daemon with no more rights than it needs: proven from outside, and everything still works."""
from __future__ import annotations

import http.client
import os
import stat
import subprocess
from pathlib import Path

from lab import Lab
from lab_case import LabCase, flood, port, probe, sluice
from netns import in_namespace, inside
from treatments import Sluice

KEPT = 1 << 12 | 1 << 38 | 1 << 39  # CAP_NET_ADMIN, CAP_PERFMON, CAP_BPF
LISTEN = ("127.0.0.1", 9655)
NOBODY = 65534
AMBIENT = "+bpf,+net_admin,+perfmon"


def threads(pid: int) -> list[dict[str, str]]:
    """The status of each thread, field by field."""
    return [dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines() if ":\t" in line)
            for task in Path(f"/proc/{pid}/task").iterdir()]


def daemon_pid(treatment: Sluice) -> int:
    """sluiced itself, behind nsenter and setpriv, which exec it."""
    return treatment.process.pid


def open_folder(lab: Lab) -> None:
    """What the daemon's user must reach: the policy, and a folder for its socket and state."""
    lab.folder.chmod(0o711)


class Confined(LabCase):
    def assert_confined(self, pid: int, uid: int) -> None:
        listed = threads(pid)
        self.assertGreater(len(listed), 5)
        for thread in listed:
            self.assertEqual(thread["Uid"].split(), [str(uid)] * 4)
            for name in ("CapEff", "CapPrm", "CapBnd"):
                self.assertEqual(int(thread[name], 16), KEPT, name)
            self.assertEqual(int(thread["CapAmb"], 16), 0)
            self.assertEqual((thread["NoNewPrivs"], thread["Seccomp"]), ("1", "2"))

    def assert_works(self, lab: Lab, treatment: Sluice) -> None:
        def ctl(*words: str) -> subprocess.CompletedProcess:
            argv = [lab.binary("sluicectl"), "--control-socket", str(treatment.control), *words]
            return subprocess.run(in_namespace(lab.router, argv), capture_output=True, text=True, timeout=10)

        flood(lab, "100mbit", 1.5)
        self.assertLess(probe(lab, 1)["lost"], 20)
        self.assertGreater(port(treatment.status(lab))["sent_packets"], 1000)
        new = lab.folder / "new.yaml"
        new.write_text(treatment.policy_text(lab).replace("50mbit", "20mbit"))
        for words in (["status"], ["reload"], ["apply", str(new)], ["rollback"], ["plan"], ["top", "--once"],
                      ["explain", "--src", "10.77.1.2", "--dst", "10.77.2.2", "--dport", "9"], ["drops"]):
            done = ctl(*words)
            self.assertEqual(done.returncode, 0, f"{words}: {done.stderr}")
        self.assertIn("drop_", ctl("drops").stdout)
        self.assertTrue(treatment.status(lab)["last_good_saved"])
        for path in ("/metrics", "/", "/api/v1/history"):
            connection = http.client.HTTPConnection(*LISTEN, timeout=5)
            with inside(lab.router):
                connection.connect()
            connection.request("GET", path)
            self.assertEqual(connection.getresponse().status, 200, path)
            connection.close()
        refused = [line for line in treatment.process.messages().splitlines() if "Operation not permitted" in line]
        self.assertEqual(refused, [])
        treatment.stop(lab)
        self.assertEqual(treatment.process.exit_code(), 0, treatment.process.messages())

    def test_root_becomes_a_user(self) -> None:
        treatment = sluice("50mbit", listen="%s:%d" % LISTEN, options=["--user", "nobody"], before=open_folder)
        with self.lab(treatment) as lab:
            self.assert_confined(daemon_pid(treatment), NOBODY)
            control = os.stat(treatment.control)
            self.assertEqual((control.st_uid, stat.S_IMODE(control.st_mode)), (NOBODY, 0o660))
            self.assert_works(lab, treatment)

    def test_a_user_with_ambient_capabilities(self) -> None:
        """As systemd starts it with User= and AmbientCapabilities=."""
        def hand_over(lab: Lab) -> None:
            open_folder(lab)
            for folder in (lab.folder / "run", lab.folder / "state", lab.pins):
                folder.mkdir()
                os.chown(folder, NOBODY, NOBODY)

        as_user = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups", "--inh-caps", AMBIENT,
                   "--ambient-caps", AMBIENT, "--bounding-set", f"-all,{AMBIENT}"]
        treatment = sluice("50mbit", listen="%s:%d" % LISTEN, before=hand_over, through=as_user)
        with self.lab(treatment) as lab:
            self.assert_confined(daemon_pid(treatment), NOBODY)
            self.assert_works(lab, treatment)

    def test_root_without_a_user(self) -> None:
        treatment = sluice("50mbit", listen="%s:%d" % LISTEN)
        with self.lab(treatment) as lab:
            self.assert_confined(daemon_pid(treatment), 0)
            self.assert_works(lab, treatment)

    def test_missing_capabilities_are_named(self) -> None:
        treatment = sluice("50mbit", before=open_folder)
        with self.lab(treatment) as lab:
            daemon = subprocess.run(in_namespace(lab.router, [
                "setpriv", "--reuid", str(NOBODY), "--clear-groups", lab.binary("sluiced"), "--policy",
                str(treatment.running_policy), "--web.listen-address", "", "--control-socket", ""]),
                capture_output=True, text=True, timeout=10)
            self.assertEqual(daemon.returncode, 1)
            self.assertIn("lacks CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON", daemon.stderr)

    def test_a_policy_that_anybody_can_write_is_refused(self) -> None:
        treatment = sluice("50mbit")
        with self.lab(treatment) as lab:
            treatment.running_policy.chmod(0o646)
            argv = [lab.binary("sluicectl"), "--control-socket", str(treatment.control), "reload"]
            done = subprocess.run(in_namespace(lab.router, argv), capture_output=True, text=True, timeout=10)
            self.assertEqual(done.returncode, 3)
            self.assertIn(f"chmod o-w {treatment.running_policy}", done.stderr)
