"""Facts about the machine that figures depend on; every report starts with them."""
from __future__ import annotations

import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path


def machine_facts() -> dict:
    model = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())
    return {"kernel": platform.release(), "cpu": model, "cpus": os.cpu_count(),
            "load_average": round(os.getloadavg()[0], 2), "time": time.strftime("%Y-%m-%dT%H:%M:%S%z")}


def machine_line() -> str:
    facts = machine_facts()
    return f"kernel {facts['kernel']}, {facts['cpus']} CPUs ({facts['cpu']}), load {facts['load_average']}"


@dataclass
class CpuTimes:
    """Ticks of all CPUs since boot; a run on a busy machine measures the machine."""

    busy: int
    steal: int  # taken by the hypervisor
    total: int

    @classmethod
    def read(cls) -> CpuTimes:
        ticks = [int(n) for n in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        idle, steal = ticks[3] + ticks[4], ticks[7]
        return cls(sum(ticks) - idle - steal, steal, sum(ticks))

    def since(self, before: CpuTimes) -> dict[str, float]:
        """Shares of all CPU time, 0..1."""
        total = max(1, self.total - before.total)
        return {"busy": round((self.busy - before.busy) / total, 4),
                "steal": round((self.steal - before.steal) / total, 4)}
