"""Row 32: the wall clock jumps. Rates, shares and deadlines are those of the monotonic clock."""
from __future__ import annotations

import shutil
import struct
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from lab import Lab, find_binary
from lab_case import BIN_DIR, LabCase, once_more_when_noisy, sluice, wire_mbit
from reload_test import sluicectl
from scene import SCENES
from treatments import Sluice

HOUR_S = 3600


class ShiftedSluice(Sluice):
    """A daemon whose wall clock is that of the machine and what `offset` says."""

    offset: Path

    def start(self, lab: Lab) -> None:
        wrapper = self.offset.with_name("sluiced")
        wrapper.write_text(f"#!/bin/sh\nSLUICE_WALL_CLOCK={self.offset} LD_PRELOAD={find_binary(BIN_DIR, 'libwall_clock.so')} "
                           f"exec {lab.binary('sluiced')} \"$@\"\n")
        wrapper.chmod(0o755)
        self.daemon = str(wrapper)
        super().start(lab)


class WallClock(LabCase):
    @once_more_when_noisy
    def test_an_hour_forth_and_back(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix="sluice-clock-"))
        self.addCleanup(shutil.rmtree, folder)
        treatment = ShiftedSluice("50mbit")
        treatment.offset = folder / "offset"
        treatment.offset.write_bytes(struct.pack("q", 0))
        seen: dict[int, dict] = {}

        def jump(lab: Lab, until) -> None:
            for second, shift in ((2.5, HOUR_S), (5, -HOUR_S)):
                until(second)
                with treatment.offset.open("r+b") as file:
                    file.write(struct.pack("q", shift))
                until(second + 1)
                status = treatment.status(lab)
                seen[shift] = {"health": status["health"], "shift": round(status["heartbeat_unix_s"] - time.time()),
                               "reload": sluicectl(lab, treatment, "reload").returncode}

        run_ = self.measure(replace(SCENES["tcp"], seconds=6), treatment, jump)
        mbit = [wire_mbit(run_, 1.5, 2.5), wire_mbit(run_, 2.5, 5), wire_mbit(run_, 5, 7.5)]
        self.note(seen=seen, mbit=mbit)
        for shift, found in seen.items():
            self.assertAlmostEqual(found["shift"], shift, delta=10)  # the daemon did see another time
            self.assertEqual((found["health"], found["reload"]), ("ok", 0))
        self.assertGreaterEqual(min(mbit[1:]), 0.75 * mbit[0])
        self.assertGreaterEqual(mbit[0], 0.7 * 50)
        self.assertLessEqual(max(mbit), 1.05 * 50)
        self.assertLessEqual(run_["probe_loss"], 0.02)
