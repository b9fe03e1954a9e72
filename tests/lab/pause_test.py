"""PAUSE: a neighbour that obeys it fills the link and loses hardly a frame; one that hears nothing loses what is too much."""
from __future__ import annotations

import json
import time
from pathlib import Path

from lab import SINK_IP, Lab
from lab_case import LabCase, once_more_when_noisy, port
from netns import run
from traffic import FLOOD_PORT
from treatments import Sluice

POLICY = """version: 1
ports:
  lan: {{device: LAN_DEVICE{pause}}}
  wan: {{device: WAN_DEVICE, rate: 50mbit}}
transitions:
  - {{from: [lan], to: wan}}
"""
SECONDS, WARMUP = 4, 1.0


class Pause(LabCase):
    def treatment(self, pause: str) -> Sluice:
        path = Path("/tmp") / f"pause-policy-{self.id()}-{bool(pause)}.yaml"
        path.write_text(POLICY.format(pause=pause))
        self.addCleanup(path.unlink)
        return Sluice("50mbit", policy_file=path, options=["--allow-pause"])

    def flooded(self, treatment: Sluice) -> tuple[dict, dict, dict]:
        """A sender with three times the link, which obeys PAUSE: its report, losses by reason, status."""
        with self.lab(treatment) as lab, self.accounted(lab, treatment):
            sender = lab.spawn("sender", lab.source, [
                lab.binary("udp_probe"), "flood", "--to", SINK_IP, "--port", str(FLOOD_PORT), "--rate", "150mbit",
                "--obey-pause", lab.source_device, "--seconds", str(SECONDS)])
            time.sleep(WARMUP)
            before = lab.link.command("stats")
            time.sleep(SECONDS - WARMUP - 0.5)
            after = lab.link.command("stats")
            lab.wait_quiet(0.3)
            report = json.loads(sender.output())
            status = treatment.status(lab)
        bytes_ = {key: after["forward"][key] - before["forward"][key] for key in ("received", "bytes")}
        report["link_mbit"] = (bytes_["bytes"] + 24 * bytes_["received"]) * 8e3 / (after["time_ns"] - before["time_ns"])
        wan = port(status)
        losses = {row["name"]: row["packets"] for row in wan["kernel_drops"] + wan["classes"][0]["outcomes"]
                  if row["packets"] and row["name"] not in ("forward", "mark")}
        self.note(**report, losses=losses, frames=port(status, "lan")["pause_frames"])
        return report, losses, port(status, "lan")

    @once_more_when_noisy
    def test_a_neighbour_that_obeys_loses_next_to_nothing(self) -> None:
        report, losses, lan = self.flooded(self.treatment(", pause: {above: 2ms, below: 1ms}"))
        self.assertLessEqual(losses.get("ring_full", 0) + losses.get("drop_ring", 0), 0.001 * report["sent"], "where the machine stalls")
        self.assertLessEqual(sum(losses.values()), 0.1 * report["sent"], "a burst before a tick has seen it")
        self.assertGreater(report["pauses"], 50)
        self.assertGreater(report["resumes"], 10)
        self.assertGreaterEqual(lan["pause_frames"], report["pauses"] + report["resumes"])
        self.assertGreaterEqual(report["link_mbit"], 0.4 * 50)

    def test_without_pause_the_same_neighbour_loses(self) -> None:
        report, losses, lan = self.flooded(self.treatment(""))
        self.assertEqual((report["pauses"], lan["pause_frames"]), (0, None))
        self.assertGreater(losses.get("drop_limit", 0), 1000)
        self.assertEqual(losses.get("ring_full", 0), 0, "small frames fill the ring's descriptors, not its bytes")
