"""What others see of a running sluice: two of them on one machine, and its metrics under load."""
from __future__ import annotations

import http.client
import re
import socket
import threading

from lab import Lab, LabOptions
from lab_case import BIN_DIR, LabCase, counters, flood, listen, port, probe, sluice
from netns import inside
from scene import Counters, accounting
from treatments import Raw, Treatment

LISTEN = ("127.0.0.1", 9655)


class TwoAtOnce(LabCase):
    """Tracepoints see the devices of all network namespaces, and ifindex is unique within one only."""

    def neighbour_is_blind(self, noisy: Treatment) -> None:
        quiet = sluice()
        with self.lab(noisy) as loud, Lab(LabOptions(bin_dir=BIN_DIR)) as still:
            quiet.start(still)
            listen(still)
            still.settle()
            before = counters(quiet.status(still))
            account = Counters.read(still, quiet)
            self.assertEqual(self.ifindex(loud), self.ifindex(still), "the test needs equal numbers")
            sent = flood(loud, "150mbit", 0.7)
            after = counters(quiet.status(still))
            # A late multicast report of the lab's own stack is a frame or two; the neighbour's flood is thousands.
            moved = {path: after[path] - n for path, n in before.items()
                     if abs(after[path] - n) > (1000 if "bytes" in path else 5)
                     and not path.startswith((".ticks", ".events"))}
            self.note(neighbour=noisy.name, flood_frames=sent["sent"], moved=moved)
            self.assertEqual(moved, {}, "counters of an idle sluice follow its neighbour's traffic")
            # Now both: what this one counts is its own sparse traffic, and its ring is its own.
            other = threading.Thread(target=flood, args=(loud, "150mbit", 1.2))
            other.start()
            own = probe(still, 1)
            other.join()
            wan = port(quiet.status(still))
            still.wait_quiet(0.2)
            result = accounting(account, Counters.read(still, quiet))
            self.note(own=own["sent"], sent_packets=wan["sent_packets"], drops=wan["kernel_drops"], rings=wan["rings"],
                      unexplained=result["unexplained"])
            self.assertEqual(wan["sent_packets"], result["arrived"])
            self.assertEqual(sum(row["packets"] for row in wan["kernel_drops"]), 0)
            self.assertLessEqual(max(ring["occupancy"] for ring in wan["rings"]), 16)
            self.explained(result, True)

    @staticmethod
    def ifindex(lab: Lab) -> tuple[int, int]:
        with inside(lab.router):
            return socket.if_nametoindex(lab.lan), socket.if_nametoindex(lab.wan)

    def test_beside_another_sluice(self) -> None:
        self.neighbour_is_blind(sluice())

    def test_beside_a_plain_redirect(self) -> None:
        """Its full ring is not ours."""
        self.neighbour_is_blind(Raw())


def get(lab: Lab, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(*LISTEN, timeout=5)
    with inside(lab.router):
        connection.connect()
    connection.request("GET", path)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def samples(text: str) -> dict[tuple[str, ...], float]:
    """(name, label values that matter ...) of each sample."""
    found = {}
    for line in text.splitlines():
        match = re.fullmatch(r'(\w+)(?:\{(.*)\})? (\S+)', line)
        if match:
            labels = dict(re.findall(r'(\w+)="([^"]*)"', match[2] or ""))
            found[match[1], labels.get("port") or labels.get("class", ""), labels.get("reason", "")] = float(match[3])
    return found


class Metrics(LabCase):
    def test_scrape_under_load(self) -> None:
        treatment = sluice(listen="%s:%d" % LISTEN)
        with self.lab(treatment) as lab, self.accounted(lab, treatment):
            self.assertEqual(get(lab, "/-/ready")[0], 200)
            self.assertEqual(get(lab, "/-/healthy")[0], 200)
            load = threading.Thread(target=flood, args=(lab, "150mbit", 2))
            load.start()
            before = self.figures(treatment.status(lab))
            status, text = get(lab, "/metrics")
            ready = get(lab, "/-/ready")[0]
            after = self.figures(treatment.status(lab))
            load.join()
            self.assertEqual((status, ready), (200, 200))
            scraped = samples(text)
            compared = {key: (before[key], scraped.get(key), after[key]) for key in before}
            self.note(samples=len(scraped), compared=compared)
            for key, (low, value, high) in compared.items():
                self.assertIsNotNone(value, f"{key} is missing")
                self.assertLessEqual(low, value, key)
                self.assertLessEqual(value, high, key)
            self.assertGreater(after[("sluice_receive_packets_total", "lan", "")], 0)
            self.assertEqual(scraped["sluice_up", "", ""], 1)
            self.assertEqual(scraped["sluice_ring_descriptors", "wan", ""], 1000)

    @staticmethod
    def figures(status: dict) -> dict[tuple[str, ...], float]:
        lan, wan = port(status, "lan"), port(status)
        cls = wan["classes"][0]
        found = {("sluice_receive_packets_total", "lan", ""): lan["received_packets"],
                 ("sluice_receive_bytes_total", "lan", ""): lan["received_bytes"],
                 ("sluice_transmit_packets_total", "wan", ""): wan["sent_packets"],
                 ("sluice_transmit_bytes_total", "wan", ""): wan["sent_bytes"],
                 ("sluice_class_admitted_bytes_total", cls["name"], ""): cls["admitted_bytes"]}
        for row in cls["outcomes"]:
            found["sluice_class_outcome_packets_total", cls["name"], row["name"]] = row["packets"]
        for row in wan["kernel_drops"]:
            found["sluice_kernel_drop_packets_total", "wan", row["name"]] = row["packets"]
        return found
