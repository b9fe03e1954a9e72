"""What an operator sees of a running sluice: explained drops, as lines, as JSON and as a capture file."""
from __future__ import annotations

import json
import time

from lab import SINK_IP, SOURCE_IP, Lab
from lab_case import LabCase, flood, port, sluice
from netns import run
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
