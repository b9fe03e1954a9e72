"""The policy changes while packets flow: nothing is lost or forgotten, and a bad file changes nothing."""
from __future__ import annotations

import json
import signal
import subprocess
import time
from dataclasses import replace
from threading import Thread

from lab import Lab
from lab_case import LabCase, attach_foreign, counters, flood, once_more_when_noisy, port, sluice, unexplained, wire_mbit
from netns import in_namespace, ip_batch
from scene import SCENES
from treatments import Sluice

SWAPS = 50
OK, INVALID = 0, 3  # exit codes of sluicectl


def sluicectl(lab: Lab, treatment: Sluice, *words: str) -> subprocess.CompletedProcess:
    argv = [lab.binary("sluicectl"), "--control-socket", str(treatment.control), *words]
    return subprocess.run(in_namespace(lab.router, argv), capture_output=True, text=True, timeout=10)


class Reload(LabCase):
    def assert_frames(self, status: dict, before: int, count: int) -> None:
        """So many frames since; the source's own stack may ask for a neighbour meanwhile."""
        self.assertIn(port(status, "lan")["received_packets"] - before, range(count, count + 10))

    def never_down(self, lab: Lab, treatment: Sluice) -> None:
        now = counters(treatment.status(lab))
        fallen = {path: (before, now.get(path)) for path, before in self.seen.items() if now.get(path, -1) < before}
        self.fallen |= fallen
        self.seen = now

    def swap_often(self, lab: Lab, treatment: Sluice) -> None:
        for i in range(SWAPS):
            text = self.good.replace("mode: enforce", f"mode: enforce\n    aqm: {{limit: {8 + i % 5}ms}}")
            treatment.running_policy.write_text(text)
            if i % 5 == 4:  # the other way; it answers in the log only
                treatment.process.signal(signal.SIGHUP)
                time.sleep(0.02)
            else:
                self.assertEqual(sluicectl(lab, treatment, "reload").returncode, OK)
            if i % 5 == 0:
                self.never_down(lab, treatment)

    def refuse(self, lab: Lab, treatment: Sluice) -> None:
        before = treatment.status(lab)
        treatment.running_policy.write_text(self.good.replace("mode: enforce", "mode: enforcee"))
        line = next(i for i, text in enumerate(self.good.splitlines(), 1) if "mode: enforce" in text)
        where = f"{treatment.running_policy}:{line}:11"
        refused = sluicectl(lab, treatment, "reload")
        log_before = treatment.process.messages()
        treatment.process.signal(signal.SIGHUP)
        time.sleep(0.3)
        log = treatment.process.messages()[len(log_before):]
        after = treatment.status(lab)
        self.note(exit=refused.returncode, says=refused.stderr.splitlines()[0] if refused.stderr else "", wanted=where)
        self.assertEqual(refused.returncode, INVALID)
        self.assertIn(where, refused.stderr)
        self.assertIn(where, log_before)
        self.assertIn(where, log)
        self.assertEqual(after["policy_generation"], before["policy_generation"])
        self.assertEqual(after["policy_sha256"], before["policy_sha256"])
        self.assertEqual(after["reloads_invalid"], before["reloads_invalid"] + 2)
        self.assertFalse(after["last_reload_ok"])
        self.assertGreater(port(after)["sent_packets"], port(before)["sent_packets"])

    @once_more_when_noisy
    def test_under_load(self) -> None:
        treatment = sluice()
        self.seen: dict[str, int] = {}
        self.fallen: dict[str, tuple] = {}
        times: dict[str, float] = {}

        def reload_all(lab: Lab, until) -> None:
            self.good = treatment.policy_text(lab)
            until(2)
            begin = time.monotonic()
            self.swap_often(lab, treatment)
            times["swapped"] = 2 + time.monotonic() - begin
            self.refuse(lab, treatment)
            treatment.running_policy.write_text(self.good.replace("50mbit", "25mbit"))
            self.assertEqual(sluicectl(lab, treatment, "reload").returncode, OK)
            times["slower"] = 2 + time.monotonic() - begin
            self.never_down(lab, treatment)
            status = treatment.status(lab)
            self.assertEqual(port(status)["policy_rate_bytes_per_s"], 25e6 / 8)
            self.assertGreaterEqual(status["reloads_ok"], SWAPS)
            until(min(9.8, times["slower"] + 3))
            self.never_down(lab, treatment)

        figures = self.measure(replace(SCENES["tcp"], seconds=8), treatment, reload_all)
        swapping = wire_mbit(figures, 2, times["swapped"])
        slower = wire_mbit(figures, times["slower"] + 0.5, times["slower"] + 3)
        self.note(**times, mbit_while_swapping=swapping, mbit_at_25=slower, fell=self.fallen, verdicts=figures["verdicts"])
        self.assertEqual(self.fallen, {})
        self.assertGreaterEqual(swapping, 0.7 * 50)
        self.assertLessEqual(slower, 1.04 * 25)
        self.assertGreaterEqual(slower, 0.85 * 25)
        self.assertLessEqual(figures["probe_loss"], 0.01)

    def test_the_ledger_is_even_while_classes_come_and_go(self) -> None:
        """Whatever classes counted before they went is not lost; asked under load, nothing is called missing."""
        treatment = sluice()
        with self.lab(treatment) as lab:
            good = treatment.policy_text(lab)
            load = Thread(target=flood, args=(lab, "150mbit", 4))
            load.start()
            moved = []
            for i in range(20):
                treatment.running_policy.write_text(good + ("    classes: diffserv4\n" if i % 2 == 0 else ""))
                self.assertEqual(sluicectl(lab, treatment, "reload").returncode, OK)
                ledger = sluicectl(lab, treatment, "status", "--ledger", "-o", "json")
                self.assertEqual(ledger.returncode, OK, ledger.stdout)
                moved += [one["in_flight"] for one in json.loads(ledger.stdout)["ports"]]
                time.sleep(0.1)
            load.join()
            self.assertTrue(lab.wait_quiet(0.2))
            wan, lan = port(treatment.status(lab))["ledger"], port(treatment.status(lab), "lan")["ledger"]
            self.note(received=lan["received"], admitted=wan["admitted"], sent=wan["sent"], most_moved=max(moved))
            self.assertEqual(unexplained(treatment.status(lab)), {})
            self.assertEqual(wan["sent"], lab.link.command("stats")["of_source"])
            self.assertGreater(wan["admitted"], 2000)
            self.assertGreater(lan["received"], wan["admitted"])

    def test_other_forwarding_and_ways_take_over_in_place(self) -> None:
        """What is constant in the programs changes too: they are exchanged, and counters go on."""
        treatment = sluice()
        with self.lab(treatment) as lab:
            lab.settle()
            injector = self.injector(lab)
            injector.send(200)
            good = treatment.policy_text(lab)
            for text in (good.replace("to: wan", "to: wan\n    forward: xconnect"),
                         good.replace("to: wan", "to: wan\n    classes: [{name: default, when_full: [mark, trim, drop]}]"), good):
                treatment.running_policy.write_text(text)
                self.assertEqual(sluicectl(lab, treatment, "reload").returncode, OK)
                self.assertIn("replaced the data path", treatment.process.messages())
                before = port(treatment.status(lab), "lan")["received_packets"]
                injector.send(200)
                time.sleep(0.2)
                status = treatment.status(lab)
                self.note(received=port(status, "lan")["received_packets"], health=status["health"])
                self.assertGreaterEqual(before, 200)
                self.assert_frames(status, before, 200)

    def test_a_device_of_somebody_else_is_refused_as_a_whole(self) -> None:
        """Some interfaces changed over already when the last one refused: they change back."""
        treatment = sluice()
        with self.lab(treatment) as lab:
            ip_batch(lab.router, ["link add spare0 type veth peer name spare1", "link set spare0 up"])
            attach_foreign(lab, "spare0")
            good = treatment.policy_text(lab)
            bad = good.replace("ports:", "ports:\n  spare: {device: spare0}").replace("from: [lan]", "from: [lan, spare]")
            treatment.running_policy.write_text(bad)
            refused = sluicectl(lab, treatment, "reload", "-o", "json")
            self.note(exit=refused.returncode, says=json.loads(refused.stdout).get("error"))
            self.assertNotEqual(refused.returncode, OK)
            self.assertIn("spare0: another XDP program is there and stays", refused.stdout)
            self.assertEqual([p["name"] for p in treatment.status(lab)["ports"]], ["lan", "wan"])
            lab.settle()
            injector = self.injector(lab)
            before = port(treatment.status(lab), "lan")["received_packets"]
            injector.send(100)
            time.sleep(0.2)
            self.assert_frames(treatment.status(lab), before, 100)
            treatment.running_policy.write_text(good)
            self.assertEqual(sluicectl(lab, treatment, "reload").returncode, OK)
