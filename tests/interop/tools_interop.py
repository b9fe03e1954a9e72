"""Traffic of other people's generators: trafgen and mausezahn (netsniff-ng), irtt beside iperf3, flent."""
from __future__ import annotations

import gzip
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

    def test_flent_udp_flood(self) -> None:
        """flent's test `udp_flood`: iperf with three times what the link carries, and a ping that does not wait behind it. (Its RRUL
        needs netperf, which Debian has only in non-free.)"""
        treatment = sluice()
        with self.lab(treatment) as lab:
            lab.spawn("iperf-server", lab.sink, ["iperf", "-s", "-u"])
            with self.accounted(lab, treatment):
                run(["flent", "udp_flood", "--host", SINK_IP, "--length", "5", "--delay", "1", "--test-parameter", "udp_bandwidth=150M",
                     "--data-dir", str(lab.folder), "--title-extra", "sluice"], lab.source)
            (file,) = lab.folder.glob("udp_flood-*.flent.gz")
            results = json.loads(gzip.decompress(file.read_bytes()))["results"]
            pings = sorted(value for value in results["Ping (ms) ICMP"] if value is not None)
            median = pings[len(pings) // 2]
            refused = sum(row["packets"] for row in port(treatment.status(lab))["classes"][0]["outcomes"] if row["name"] == "drop_limit")
            self.note(ping_median_ms=median, ping_max_ms=pings[-1], pings=len(pings), refused=refused)
            self.assertGreater(refused, 10_000)
            self.assertGreater(len(pings), 20)
            self.assertLess(median, lab.options.rtt_ms + 10)

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
