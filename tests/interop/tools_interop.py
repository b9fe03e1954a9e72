"""Traffic of other people's generators: trafgen and mausezahn (netsniff-ng), irtt beside iperf3."""
from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

from lab import ROUTER_LAN_MAC, SINK_IP, SOURCE_IP, SOURCE_MAC, Lab
from lab_case import LabCase, port, probe, sluice, unexplained
from netns import inside, in_namespace, run
from traffic import FLOOD_PORT

FRAMES = 5000
UDP_PAYLOAD = 18


def trafgen_program() -> str:
    """UDP of the smallest size with a random TOS (every ECN and DSCP), identification and source port in each frame."""
    def octets(text: str, separator: str, base: int) -> str:
        return ", ".join(str(int(part, base)) for part in text.split(separator))
    udp = 8 + UDP_PAYLOAD
    return f"""{{ {octets(ROUTER_LAN_MAC, ":", 16)}, {octets(SOURCE_MAC, ":", 16)}, c16(0x0800),
0b01000101, drnd(1), c16({20 + udp}), drnd(2), c16(0), 64, 17, csumip(14, 33), {octets(SOURCE_IP, ".", 10)}, {octets(SINK_IP, ".", 10)},
drnd(2), c16({FLOOD_PORT}), c16({udp}), c16(0), fill(0x55, {UDP_PAYLOAD}) }}
"""


def ip_errors(namespace: str) -> int:
    """Frames that the receiver's IP refused: lengths, checksums."""
    with inside(namespace):
        names, values = (line.split() for line in Path("/proc/thread-self/net/snmp").read_text().splitlines()[:2])
    return int(values[names.index("InHdrErrors")])


class Tools(LabCase):
    def forwarded(self, treatment, lab: Lab) -> int:
        return port(treatment.status(lab))["sent_packets"]

    def test_trafgen(self) -> None:
        """5,000 frames of as many flows, every TOS: each is forwarded, and arrives with a right checksum, marked or not."""
        treatment = sluice()
        with self.lab(treatment) as lab:
            before, errors = self.forwarded(treatment, lab), ip_errors(lab.sink)
            with self.accounted(lab, treatment):
                done = subprocess.run(in_namespace(lab.source, [
                    "trafgen", "--in", "-", "--out", lab.source_device, "--num", str(FRAMES), "--gap", "200us", "--cpus", "1", "--no-sock-mem"]),
                    input=trafgen_program(), capture_output=True, text=True, timeout=60)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            sent = self.forwarded(treatment, lab) - before
            self.note(frames=FRAMES, forwarded=sent)
            self.assertGreaterEqual(sent, FRAMES)
            self.assertEqual(ip_errors(lab.sink), errors)

    def test_mausezahn(self) -> None:
        """A flood from forged sources, more than the link carries: no frame unexplained, the ring never full, the link busy."""
        treatment = sluice()
        with self.lab(treatment) as lab:
            floods = [lab.spawn(f"mausezahn-{i}", lab.source, [
                "mausezahn", lab.source_device, "-q", "-a", SOURCE_MAC, "-b", ROUTER_LAN_MAC, "-A", "rand", "-B", SINK_IP, "-t", "udp",
                f"sp=1-65000,dp={FLOOD_PORT}", "-p", "1400", "-c", "0", "-d", "50"]) for i in range(2)]
            time.sleep(1)
            before, begin = port(treatment.status(lab))["sent_bytes"], time.monotonic()
            time.sleep(3)
            sent = port(treatment.status(lab))["sent_bytes"] - before
            mbit = sent * 8 / (time.monotonic() - begin) / 1e6
            for flood in floods:
                self.assertTrue(flood.alive(), flood.messages())
                flood.kill()
            self.assertTrue(lab.wait_quiet(0.2))
            status = treatment.status(lab)
            self.assertEqual(unexplained(status), {})
            received = port(status, "lan")["received_packets"]
            drops = {row["name"]: row["packets"] for row in port(status)["ledger"]["kernel_drops"]}
            self.note(on_the_wire_mbit=mbit, received=received, sent=port(status)["sent_packets"], kernel_drops=drops)
            self.assertGreater(received, 1.3 * port(status)["sent_packets"])
            self.assertEqual(drops["ring_full"], 0)
            self.assertGreater(mbit, 40)

    def test_irtt_beside_iperf3(self) -> None:
        """irtt's own figures of a sparse flow beside four TCP flows: a few ms of queue, as our probe finds."""
        treatment = sluice()
        with self.lab(treatment) as lab:
            lab.spawn("irtt-server", lab.sink, ["irtt", "server", "-b", f"{SINK_IP}:2112"])
            lab.spawn("iperf3-server", lab.sink, ["iperf3", "-s", "-p", "5201"])
            time.sleep(0.5)
            lab.spawn("iperf3", lab.source, ["iperf3", "-c", SINK_IP, "-p", "5201", "-P", "4", "-t", "8"])
            time.sleep(3)
            ours = probe(lab, 1.5)
            text = run(["irtt", "client", "-i", "10ms", "-d", "3s", "-Q", "-o", "-", f"{SINK_IP}:2112"], lab.source)
            stats = json.loads(text[text.index("{"):])["stats"]
            rtt = stats["rtt"]["median"] / 1e6
            self.note(irtt_median_ms=rtt, irtt_lost=stats["packet_loss_percent"], irtt_p_max_ms=stats["rtt"]["max"] / 1e6,
                      probe_median_ms=ours["rtt_ms"]["p50"])
            self.assertLess(rtt, lab.options.rtt_ms + 8)
            self.assertLess(stats["packet_loss_percent"], 2)
