"""What an operator sees of a running sluice: explained drops and their capture, explain, top."""
from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import termios
import threading
import time

from lab import SINK_IP, SOURCE_IP, Lab
from lab_case import LabCase, flood, port, sluice
from netns import LabError, in_namespace, run
from treatments import Sluice
from traffic import FLOOD_PORT


def ctl(lab: Lab, treatment: Sluice, *arguments: str) -> str:
    return run([lab.binary("sluicectl"), "--control-socket", str(treatment.control), *arguments], lab.router)


def outcomes(status: dict) -> dict[str, int]:
    return {row["name"]: row["packets"] for cls in port(status)["classes"] for row in cls["outcomes"]}


class Drops(LabCase):
    def test_a_flood_is_explained_and_captured(self) -> None:
        treatment = sluice("20mbit")
        with self.lab(treatment) as lab:
            flood(lab, "100mbit", 1.5)
            time.sleep(0.5)
            counted = outcomes(treatment.status(lab))
            page = json.loads("[" + ",".join(ctl(lab, treatment, "drops", "-o", "json").splitlines()) + "]")
            self.assert_events(page, counted)
            text = ctl(lab, treatment, "drops", "--reason", page[-1]["reason"], "--count", "3")
            self.assertEqual(len(text.splitlines()), 3, text)
            self.assertIn(f" {page[-1]['reason']} UDP {SOURCE_IP}:", text)
            self.assertIn(f"({treatment.running_policy}:", text)
            self.assert_capture(lab, treatment, page)

    def assert_events(self, page: list[dict], counted: dict[str, int]) -> None:
        reasons = {event["reason"] for event in page}
        self.note(events=len(page), reasons=sorted(reasons), counted=counted)
        self.assertGreater(len(page), 100)
        self.assertTrue(reasons <= {name for name, packets in counted.items() if packets}, (reasons, counted))
        self.assertLessEqual(len(page), sum(counted[name] for name in reasons), "sampled, never invented")
        for event in page:
            self.assertEqual((event["src"], event["dst"], event["dport"]), (SOURCE_IP, SINK_IP, FLOOD_PORT))
            self.assertEqual((event["ingress_port"], event["egress_port"], event["class_name"]), ("lan", "wan", "default"))
            self.assertEqual(len(event["frame"]), 256)
            self.assertEqual(event["ring_size"], 1000)
        self.assertGreater(max(event["delay_ns"] for event in page), 1e6)
        self.assertEqual([e["seq"] for e in page], sorted(e["seq"] for e in page))

    def assert_capture(self, lab: Lab, treatment: Sluice, page: list[dict]) -> None:
        capture = lab.folder / "drops.pcapng"
        ctl(lab, treatment, "drops", "--pcap", str(capture))
        info = run(["capinfos", "-T", "-r", "-t", "-c", str(capture)])
        fields = ["frame.comment", "ip.src", "ip.dst", "udp.dstport", "frame.len", "frame.interface_name",
                  "frame.time_epoch"]
        rows = [line.split("\t") for line in run(
            ["tshark", "-r", str(capture), "-T", "fields", *(w for f in fields for w in ("-e", f))]).splitlines()]
        self.note(capinfos=info.split(), first=rows[0])
        self.assertEqual(len(rows), len(page))
        for row, event in zip(rows, page):
            self.assertTrue(row[0].startswith(f"{event['reason']}: lan -> wan, class default ("), row)
            self.assertEqual(row[1:4], [SOURCE_IP, SINK_IP, str(FLOOD_PORT)])
            self.assertEqual(int(row[4]), event["frame_bytes"])
            self.assertEqual(row[5], "lan")
            self.assertAlmostEqual(float(row[6]), event["unix_s"], delta=1e-5)
            self.assertLess(abs(float(row[6]) - time.time()), 120)

    def test_follow_shows_what_happens_from_now_on(self) -> None:
        treatment = sluice("20mbit")
        with self.lab(treatment) as lab:
            flood(lab, "60mbit", 0.3)
            time.sleep(0.5)
            old = ctl(lab, treatment, "drops", "-o", "json").splitlines()
            follower = lab.spawn("follower", lab.router, [
                lab.binary("sluicectl"), "--control-socket", str(treatment.control), "drops", "--follow", "-o", "json"])
            time.sleep(0.5)
            flood(lab, "60mbit", 0.5)
            time.sleep(0.8)
            self.assertTrue(follower.alive(), follower.messages())
            new = [json.loads(line) for line in follower.output().splitlines()]
            self.note(before=len(old), followed=len(new))
            self.assertGreater(len(new), 20)
            self.assertGreater(new[0]["seq"], json.loads(old[-1])["seq"])
            numbers = [event["seq"] for event in new]
            self.assertEqual(numbers, list(range(numbers[0], numbers[0] + len(numbers))), "none lost, none twice")


class Explain(LabCase):
    """What `explain` says of a flow is what happens to it."""

    def test_a_flood_and_a_stranger(self) -> None:
        treatment = sluice("20mbit")
        with self.lab(treatment) as lab:
            load = threading.Thread(target=flood, args=(lab, "60mbit", 6))
            load.start()
            time.sleep(2)
            flow = port(treatment.status(lab))["flows"][0]
            self.assertEqual((flow["src"], flow["dst"], flow["dport"], flow["proto"]), (SOURCE_IP, SINK_IP, FLOOD_PORT, 17))
            about = ["--src", SOURCE_IP, "--dst", SINK_IP, "--proto", "udp", "--dport", str(FLOOD_PORT)]
            own = json.loads(ctl(lab, treatment, "explain", "-o", "json", *about, "--sport", str(flow["sport"])))
            text = ctl(lab, treatment, "explain", *about, "--sport", str(flow["sport"]))
            other = json.loads(ctl(lab, treatment, "explain", "-o", "json", *about, "--sport", "1", "--in", "lan"))
            load.join()
            found, stranger = own["explanations"][0], other["explanations"][0]
            self.note(flow=found, stranger=stranger["now"])
            print(text)
            self.assertEqual((found["ingress_port"], found["egress_port"], found["class_name"]), ("lan", "wan", "default"))
            self.assertTrue(found["active"])
            self.assertEqual(found["bucket"], flow["bucket"])
            self.assertTrue(found["unresponsive"], "a flood listens to nobody")
            self.assertLess(found["limit_ns"], stranger["limit_ns"])
            self.assertIn("drop", found["now"])
            self.assertTrue(any(limit.startswith("port wan: ") for limit in found["limits"]), found)
            self.assertFalse(stranger["active"])
            self.assertTrue(stranger["now"].startswith("forwarded at once"))
            self.assertIn(f"{treatment.running_policy}:", text)

    def test_nonsense_is_refused_with_a_reason(self) -> None:
        treatment = sluice("20mbit")
        with self.lab(treatment, listeners=False) as lab:
            for arguments, reason in ((["--src", "10.0.0", "--dst", SINK_IP], "src=10.0.0 is not an IPv4 or IPv6 address"),
                                      (["--src", SOURCE_IP, "--dst", "::1"], "different families"),
                                      (["--src", SOURCE_IP, "--dst", SINK_IP, "--proto", "icmp", "--dport", "1"], "no ports"),
                                      (["--src", SOURCE_IP, "--dst", SINK_IP, "--in", "attic"], "begins at attic")):
                with self.assertRaisesRegex(LabError, reason):
                    ctl(lab, treatment, "explain", *arguments)


class Top(LabCase):
    def test_text_json_and_terminal(self) -> None:
        treatment = sluice("20mbit")
        with self.lab(treatment) as lab:
            load = threading.Thread(target=flood, args=(lab, "60mbit", 8))
            load.start()
            time.sleep(1.5)
            text = ctl(lab, treatment, "top", "--once")
            data = json.loads(ctl(lab, treatment, "top", "-o", "json"))
            screen, code = self.in_terminal(lab, treatment)
            load.join()
            print(text)
            self.assertRegex(text, rf"UDP {SOURCE_IP}:\d+ > {SINK_IP}:{FLOOD_PORT} +wan default")
            flow = data["flows"][0]
            self.note(flow=flow, port=data["ports"])
            self.assertGreater(flow["bytes_per_s"] * 8, 5e6)
            self.assertGreater(flow["refused_per_s"], 500)
            self.assertEqual(code, 0)
            for words in ("FLOW by backlog", SOURCE_IP, "rate   "):  # curses sends what changes: "backlog" became "rate"
                self.assertIn(words, screen)

    def in_terminal(self, lab: Lab, treatment: Sluice) -> tuple[str, int]:
        """top on a terminal of 120 columns: sort once, then leave."""
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        child = subprocess.Popen(
            in_namespace(lab.router, [lab.binary("sluicectl"), "--control-socket", str(treatment.control), "top", "-i", "0.3"]),
            stdin=slave, stdout=slave, stderr=slave, env={"TERM": "xterm", "PATH": "/usr/bin:/bin"}, start_new_session=True)
        os.close(slave)
        shown, end, keys = b"", time.monotonic() + 15, [b"s", b"q"]
        next_key = time.monotonic() + 1.5
        while child.poll() is None and time.monotonic() < end:
            if select.select([master], [], [], 0.1)[0]:
                try:
                    shown += os.read(master, 65536)
                except OSError:
                    break  # the other side is closed
            if keys and time.monotonic() > next_key:
                os.write(master, keys.pop(0))
                next_key += 1.5
        code = child.wait(5)
        os.close(master)
        return re.sub(r"\x1b[\[(][0-9;?]*[A-Za-z]", "", shown.decode(errors="replace")), code
